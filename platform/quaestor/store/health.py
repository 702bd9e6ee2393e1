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


def systems(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Every system that decided, asked for something or has an iteration."""
    rows = connection.execute(
        "select distinct system from decisions union select distinct system from demand "
        "union select distinct system from iterations order by system"
    ).fetchall()
    return [str(system) for (system,) in rows]


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
    """How each system's feedback stands: decisions, how many have an outcome, the newest of each, and the median delay
    from a decision to its outcome, to the minute."""
    return connection.execute(
        """
        with delays as (
            select system, date_diff('minute', decided_at, observed_at) as minutes, count(*) as rounds
            from outcomes where revision = 0 group by all
        ), cumulated as (
            select *, sum(rounds) over (partition by system order by minutes) as until,
                sum(rounds) over (partition by system) as total
            from delays
        ), answered as (
            select system, any_value(total)::bigint as with_outcome,
                min(minutes) filter (until >= total / 2) / 60 as median_delay_hours
            from cumulated group by system
        ), latest as (
            select system, max(observed_at) as newest_outcome from outcomes group by system
        )
        select system, count(*) as decisions, coalesce(any_value(with_outcome), 0) as with_outcome,
            max(decided_at) as newest_decision, any_value(newest_outcome) as newest_outcome,
            any_value(median_delay_hours) as median_delay_hours
        from decisions left join answered using (system) left join latest using (system)
        group by system order by system
        """
    ).pl()


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
