"""Generated files in the formats of public data sets, for machines that do not have the real ones."""
