"""Figures about the store as a whole."""

from __future__ import annotations

from typing import Any

import duckdb
import polars as pl

from quaestor.store import audit

_COUNTED = ("decisions", "outcomes", "demand", "orders", "iterations", "evidence", "verdicts", "bundles", "audit")


def figures(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Rows by table, quarantined rows that still wait, and each system's live iteration."""
    rows = {table: _count(connection, f"select count(*) from {table}") for table in _COUNTED}
    rows["quarantine"] = _count(connection, "select count(*) from quarantine where released_at is null")
    live = {row["system"]: row for row in audit.pointers(connection).iter_rows(named=True)}
    return {"rows": rows, "live": live}


def systems(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Every system that decided, asked for something or has an iteration."""
    rows = connection.execute(
        "select distinct system from decisions union select distinct system from demand "
        "union select distinct system from orders union select distinct system from iterations order by system"
    ).fetchall()
    return [str(system) for (system,) in rows]


def heard_of(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Every system of which the store keeps anything, or kept it until it was deleted or forgotten."""
    rows = connection.execute(
        "select system from quarantine union select system from deletions union select system from forgotten"
    ).fetchall()
    return sorted({*systems(connection), *(str(system) for (system,) in rows)})


def quarantine_reasons(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Waiting quarantined rows by system, kind and code: an example reason, their number, first and last time."""
    return connection.execute(
        "select system, kind, code, any_value(reason) as reason, count(*) as rows, "
        "min(quarantined_at) as first_at, max(quarantined_at) as last_at "
        "from quarantine where released_at is null group by all order by rows desc, system, kind, code"
    ).pl()


def ingest_history(connection: duckdb.DuckDBPyConnection, rows: int | None = None, after: int = 0) -> pl.DataFrame:
    """Ingested files, newest first, so many after the first so many: name, format, ingested_at and the counts of each
    summary."""
    return connection.execute(
        "select name, format, ingested_at, (summary->>'rows')::bigint as rows, (summary->>'added')::bigint as added, "
        "(summary->>'duplicate')::bigint as duplicate, (summary->>'quarantined')::bigint as quarantined, "
        "(summary->>'released')::bigint as released from ingested_files "
        "order by ingested_at desc, name, digest limit ? offset ?",
        [rows, after],
    ).pl()


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
