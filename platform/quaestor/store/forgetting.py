"""Forgets a data subject: its rows go, what they were is counted, and they do not come back by another file."""

from __future__ import annotations

import os
from datetime import datetime

import duckdb
import polars as pl

from quaestor.store import round_hours
from quaestor.store.connection import FORMAT, Store

_THEIRS = "system = $system and subject = $subject"


def known(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Who was forgotten: system, subject, forgotten_at (UTC), the newest of each."""
    return connection.execute(
        "select system, subject, max(forgotten_at) as forgotten_at from forgotten group by all"
    ).pl()


def without(rows: pl.DataFrame, forgotten: pl.DataFrame) -> pl.DataFrame:
    """Decisions but for those that were taken about a subject before it was forgotten."""
    if forgotten.is_empty() or "subject" not in rows.columns:
        return rows
    told = rows.join(forgotten, on=["system", "subject"], how="left", maintain_order="left")
    before = pl.col("decided_at").dt.replace_time_zone(None) <= pl.col("forgotten_at")
    return told.filter(~before.fill_null(False)).drop("forgotten_at")


def events_of(connection: duckdb.DuckDBPyConnection, system: str, subject: str) -> frozenset[str]:
    """The ids of what was decided about a subject (its hash)."""
    found = connection.execute(
        f"select event_id from decisions where {_THEIRS}", {"system": system, "subject": subject}
    ).fetchall()
    return frozenset(name for (name,) in found)


def forget(connection: duckdb.DuckDBPyConnection, system: str, subject: str, now: datetime) -> dict[str, int]:
    """Deletes what was decided about a subject (its hash), with outcomes and quarantined rows; returns the rows of each
    kind. The hours of the decisions are kept, without anything else of them: they tell who learnt from them."""
    who: dict[str, object] = {"system": system, "subject": subject}
    connection.execute(
        f"create or replace temp table theirs as select event_id, decided_at from decisions where {_THEIRS}", who
    )
    connection.execute(
        "insert into forgotten_hours select $system, date_trunc('hour', decided_at), count(*), $now from theirs "
        "group by all",
        {"system": system, "now": now},
    )
    gone = {
        "outcomes": _delete(
            connection,
            "outcomes where system = $system and event_id in (select event_id from theirs)",
            {"system": system},
        ),
        "decisions": _delete(connection, f"decisions where {_THEIRS}", who),
        "quarantine": _delete(
            connection,
            "quarantine where system = $system and ((content->>'subject') = $subject "
            "or (content->>'event_id') in (select event_id from theirs))",
            who,
        ),
    }
    connection.execute("drop table theirs")
    connection.execute("delete from forgotten where system = $system and subject = $subject", who)
    connection.execute("insert into forgotten values (?, ?, ?)", [system, subject, now])
    round_hours.tell_anew(connection)
    return gone


def rounds_forgotten(
    connection: duckdb.DuckDBPyConnection, system: str, since: datetime, first: datetime, closed: datetime
) -> int:
    """How many rounds decided from `first` to `closed` were forgotten after `since` (UTC), to the hour."""
    row = connection.execute(
        "select coalesce(sum(rounds), 0) from forgotten_hours where system = ? and forgotten_at > ? "
        "and hour > ?::timestamp - interval 1 hour and hour <= ?",
        [system, since, first, closed],
    ).fetchone()
    return int(row[0]) if row else 0


def scrub(store: Store) -> None:
    """Writes the store anew without what was deleted, so that no byte of it stays on disk: deletion only marks it.

    A file is copied and swapped while nobody else has it. A lake rewrites the files with deleted rows and gives up its
    older snapshots; who still reads one of those may have to read again.
    """
    with store.exclusive() as (connection, _):
        if store.lake is not None:
            connection.execute("call ducklake_rewrite_data_files('store', delete_threshold => 0.0)")
            connection.execute("call ducklake_expire_snapshots('store', older_than => now())")
            connection.execute("call ducklake_cleanup_old_files('store', cleanup_all => true)")
            return
        connection.execute("checkpoint")
        fresh = store.path.with_name(f".{store.path.name}.fresh")
        fresh.unlink(missing_ok=True)
        source = connection.execute("select current_database()").fetchone()
        name = str(source[0] if source else "").replace('"', '""')
        path = str(fresh).replace("'", "''")
        connection.execute(f"attach '{path}' as fresh (storage_version '{FORMAT}')")
        connection.execute(f'copy from database "{name}" to fresh')
        connection.execute("detach fresh")
        descriptor = os.open(fresh, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        os.replace(fresh, store.path)


def _delete(connection: duckdb.DuckDBPyConnection, what: str, names: dict[str, object]) -> int:
    row = connection.execute(f"select count(*) from {what}", names).fetchone()
    connection.execute(f"delete from {what}", names)
    return int(row[0]) if row else 0
