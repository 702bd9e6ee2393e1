"""Regression oracles, one a file: fitted on matured rounds, they predict the reward of every action."""
