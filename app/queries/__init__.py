"""What the screens read, a subject a file: each query opens the store once, briefly, for reading."""
