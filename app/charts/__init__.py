"""Charts of policies and their evidence, a subject a file: pure functions, frame → chart. Estimates never come without
their interval."""
