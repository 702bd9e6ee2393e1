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
    counts = ", ".join(f"(select count(*) from {table})" for table in _GROWING)
    newest = ", ".join(f"(select max(entry) from {table})" for table in _NUMBERED)
    row = connection.execute(
        f"select {counts}, {newest}, (select count(released_at) from quarantine), "
        "(select list([system, iteration_id, since::varchar] order by system) from live)"
    ).fetchone()
    return hashlib.sha256(json.dumps(row).encode()).hexdigest()


def events(connection: duckdb.DuckDBPyConnection) -> str:
    """The same of events and iterations alone: evidence, verdicts and moves leave it as it is."""
    counts = ", ".join(f"(select count(*) from {table})" for table in _EVENTS)
    row = connection.execute(
        f"select {counts}, (select count(released_at) from quarantine), (select count(*) from forgotten_hours)"
    ).fetchone()
    return hashlib.sha256(json.dumps(row).encode()).hexdigest()
