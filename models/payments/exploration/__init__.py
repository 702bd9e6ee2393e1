"""Exploration rules, one a file: from predicted rewards and eligibility to probabilities."""
