"""Rolling windows: what the store may remember for how long, and what leaves it when."""
