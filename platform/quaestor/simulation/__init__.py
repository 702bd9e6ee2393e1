"""The simulator of supply networks in numpy: looks at exported order policies where there is no torch."""
