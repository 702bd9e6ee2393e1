"""The DuckDB store: the only home of duckdb. Connections last one transaction and wait their turn."""

from quaestor.store.connection import Connection, Store

__all__ = ["Connection", "Store"]
