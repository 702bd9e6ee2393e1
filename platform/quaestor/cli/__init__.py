"""The command line: `quaestor demo | ingest | run | status | iterations | promote | …`."""

from quaestor.cli.app import main

__all__ = ["main"]
