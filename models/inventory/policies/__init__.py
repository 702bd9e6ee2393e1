"""Order policies, one a file; each maps a layout and an observation to desired orders."""
