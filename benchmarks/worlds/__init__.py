"""Small worlds whose truth is known exactly, for benchmarks of estimators and gates."""
