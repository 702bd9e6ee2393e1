"""Quaestor learns payment and inventory policies from logs, proves each iteration and exports it."""

__version__ = "0.1.0"
