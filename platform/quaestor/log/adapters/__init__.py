"""Public file formats, each turned into the frames that contracts check."""
