"""The audit trail and the live pointer it explains."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import polars as pl

from quaestor.clock import utc_now


@dataclass(frozen=True)
class Entry:
    """Who did what to which iteration, and why. previous_id: the live iteration before a move."""

    actor: str
    action: str
    system: str
    iteration_id: str
    reason: str
    previous_id: str | None = None


def add(connection: duckdb.DuckDBPyConnection, entry: Entry) -> None:
    """Appends an entry; entries are ordered by number, not by the clock."""
    connection.execute(
        "insert into audit (entry, entered_at, actor, action, system, iteration_id, previous_id, reason) "
        "select coalesce(max(entry), 0) + 1, ?, ?, ?, ?, ?, ?, ? from audit",
        [
            utc_now(),
            entry.actor,
            entry.action,
            entry.system,
            entry.iteration_id,
            entry.previous_id,
            entry.reason,
        ],
    )


def trail(connection: duckdb.DuckDBPyConnection, system: str | None = None) -> pl.DataFrame:
    """The audit trail, oldest first."""
    return connection.execute(
        "select * from audit where ?::varchar is null or system = ? order by entry", [system, system]
    ).pl()


def live(connection: duckdb.DuckDBPyConnection, system: str) -> str | None:
    """The id of the live iteration of a system, if it has one."""
    row = connection.execute("select iteration_id from live where system = ?", [system]).fetchone()
    return row[0] if row else None


def point(connection: duckdb.DuckDBPyConnection, system: str, iteration_id: str) -> None:
    """Moves the live pointer; the caller writes the audit entry in the same transaction."""
    connection.execute("delete from live where system = ?", [system])
    connection.execute("insert into live values (?, ?, ?)", [system, iteration_id, utc_now()])


def pointers(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Every system's live iteration: system, iteration_id, since."""
    return connection.execute("select * from live order by system").pl()
