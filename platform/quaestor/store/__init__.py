"""The DuckDB store: the only home of duckdb. Connections last one transaction and wait their turn."""

from quaestor.store.connection import Store

__all__ = ["Store"]
