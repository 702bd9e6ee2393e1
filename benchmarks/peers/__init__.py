"""What the benchmarks run side by side with, each in an environment of its own."""
