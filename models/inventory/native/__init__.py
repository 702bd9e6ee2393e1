"""Rollouts in compiled loops: the Python of a period is traced, lowered to columns of scenarios, and played."""
