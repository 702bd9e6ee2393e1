"""Figures, one file each: `python -m benchmarks.NAME [--quick] [--json PATH]` prints a table and writes its rows."""
