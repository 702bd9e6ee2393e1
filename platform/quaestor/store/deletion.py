"""Rows that leave the store for good, and the record that they did."""

from __future__ import annotations

from datetime import datetime

import duckdb
import polars as pl

from quaestor.store import round_hours

_OLD = {
    "decisions": "decisions where system = $system and decided_at < $up_to",
    "outcomes": (
        "outcomes where system = $system and event_id in "
        "(select event_id from decisions where system = $system and decided_at < $up_to)"
    ),
    "orders": "orders where system = $system and decided_at < $up_to",
    "demand": "demand where system = $system and starts_on < $up_to",
    "quarantine": "quarantine where system = $system and quarantined_at < $up_to",
}
"""What is older than a moment, by kind; outcomes go with their decisions, and therefore before them."""


def count(connection: duckdb.DuckDBPyConnection, kind: str, system: str, up_to: datetime) -> int:
    """How many rows of a kind are older than a moment (UTC)."""
    row = connection.execute(f"select count(*) from {_OLD[kind]}", {"system": system, "up_to": up_to}).fetchone()
    return int(row[0]) if row else 0


def delete(connection: duckdb.DuckDBPyConnection, kind: str, system: str, up_to: datetime) -> None:
    """Deletes the rows of a kind that are older than a moment (UTC)."""
    connection.execute(f"delete from {_OLD[kind]}", {"system": system, "up_to": up_to})
    if kind in ("decisions", "outcomes"):
        round_hours.tell_anew(connection)


def write_down(
    connection: duckdb.DuckDBPyConnection,
    now: datetime,
    actor: str,
    system: str,
    kind: str,
    up_to: datetime,
    rows: int,
    reason: str,
) -> None:
    """Notes a deletion for good."""
    connection.execute(
        "insert into deletions values (?, ?, ?, ?, ?, ?, ?)", [now, actor, system, kind, up_to, rows, reason]
    )


def history(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Every deletion, oldest first: deleted_at, actor, system, kind, up_to, rows, reason."""
    return connection.execute("select * from deletions order by deleted_at, system, kind").pl()


def quarantined_systems(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Every system that has rows in quarantine, known otherwise or not."""
    rows = connection.execute("select distinct system from quarantine order by system").fetchall()
    return [str(system) for (system,) in rows]
