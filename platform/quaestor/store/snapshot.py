"""Which state of the store a figure was read from: a digest that changes whenever anything does."""

from __future__ import annotations

import hashlib
import json

import duckdb

_GROWING = (
    "ingested_files", "decisions", "outcomes", "demand", "orders", "quarantine", "networks",
    "iterations", "evidence", "verdicts", "bundles", "audit",
)  # fmt: skip
_EVENTS = ("ingested_files", "decisions", "outcomes", "demand", "orders", "quarantine", "networks", "iterations")
"""What grows with events and with who learnt from them, and not with what was written down about that."""
_NUMBERED = ("evidence", "verdicts", "audit")


def snapshot(connection: duckdb.DuckDBPyConnection) -> str:
    """The digest (64 hexadecimal digits) of the state that a connection sees, told by counts however large it is.

    Quarantined rows are released, live pointers move, and what is found again is the newest again: all count too.
    """
    return _digest(
        connection,
        *(f"count(*) from {table}" for table in _GROWING),
        *(f"max(entry) from {table}" for table in _NUMBERED),
        "count(released_at) from quarantine",
        "list([system, iteration_id, since::varchar] order by system) from live",
    )


def events(connection: duckdb.DuckDBPyConnection) -> str:
    """The same of events and iterations alone: evidence, verdicts and moves leave it as it is."""
    return _digest(
        connection,
        *(f"count(*) from {table}" for table in _EVENTS),
        "count(released_at) from quarantine",
        "count(*) from forgotten_hours",
    )


def _digest(connection: duckdb.DuckDBPyConnection, *figures: str) -> str:
    """The digest of some figures, asked for one by one: in one statement DuckDB plans how to join them for ten times as
    long as all of them take."""
    row = [value for figure in figures for value in connection.execute(f"select {figure}").fetchone() or ()]
    return hashlib.sha256(json.dumps(row).encode()).hexdigest()
