"""Figures about the store as a whole."""

from __future__ import annotations

from typing import Any

import duckdb
import polars as pl

from quaestor.store import audit

_COUNTED = ("decisions", "outcomes", "demand", "iterations", "evidence", "verdicts", "bundles", "audit")


def figures(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Rows by table, quarantined rows that still wait, and each system's live iteration."""
    rows = {table: _count(connection, f"select count(*) from {table}") for table in _COUNTED}
    rows["quarantine"] = _count(connection, "select count(*) from quarantine where released_at is null")
    live = {row["system"]: row for row in audit.pointers(connection).iter_rows(named=True)}
    return {"rows": rows, "live": live}


def quarantine_reasons(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Waiting quarantined rows by system, kind and code: an example reason, their number, first and last time."""
    return connection.execute(
        "select system, kind, code, any_value(reason) as reason, count(*) as rows, "
        "min(quarantined_at) as first_at, max(quarantined_at) as last_at "
        "from quarantine where released_at is null group by all order by rows desc, system, kind, code"
    ).pl()


def ingest_history(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Every ingested file, newest first: name, format, ingested_at and the counts of its summary."""
    return connection.execute(
        "select name, format, ingested_at, (summary->>'rows')::bigint as rows, (summary->>'added')::bigint as added, "
        "(summary->>'duplicate')::bigint as duplicate, (summary->>'quarantined')::bigint as quarantined, "
        "(summary->>'released')::bigint as released from ingested_files order by ingested_at desc, name"
    ).pl()


def feedback(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """How each system's feedback stands: decisions, how many have an outcome, and the newest of each."""
    return connection.execute(
        """
        select d.system, count(*) as decisions, count(o.event_id) as with_outcome,
            max(decided_at) as newest_decision, max(o.observed_at) as newest_outcome,
            median(epoch(o.observed_at - decided_at)) / 3600 as median_delay_hours
        from decisions d left join outcomes o on o.system = d.system and o.event_id = d.event_id and o.revision = 0
        group by d.system order by d.system
        """
    ).pl()


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
