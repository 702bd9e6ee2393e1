"""Policy smoothing as mathematics: from the costs of smoothed episodes to a bound that an attack cannot break.

Kumar, Levine and Feizi, "Policy Smoothing for Provably Robust Reinforcement Learning" (arXiv 2106.11420).
"""
