"""Exact optima of the inventory problems where one is known, one problem a file: what a learned policy is held to."""
