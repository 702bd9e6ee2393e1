"""Off-policy evaluation: what a policy would have earned, read from the rounds that another one decided."""
