"""Rows that may not enter: kept with their reason until someone looks, or until what they lacked arrives."""

from __future__ import annotations

import hashlib

import duckdb
import polars as pl

from quaestor.clock import utc_now

UNKNOWN_DECISION = "unknown_decision"


def add(connection: duckdb.DuckDBPyConnection, kind: str, rows: pl.DataFrame, file_digest: str) -> int:
    """Keeps bad rows (row_number, system, code, reason, content as JSON); returns how many were not there yet."""
    if rows.is_empty():
        return 0
    digests = [
        hashlib.sha256("\x1f".join((kind, system, code, content)).encode()).hexdigest()
        for system, code, content in rows.select("system", "code", "content").iter_rows()
    ]
    kept = rows.with_columns(
        row_digest=pl.Series(digests),
        kind=pl.lit(kind),
        file_digest=pl.lit(file_digest),
        quarantined_at=pl.lit(utc_now()),
    ).unique("row_digest", keep="first", maintain_order=True)
    before = count(connection)
    connection.register("quarantined_frame", kept)
    connection.execute(
        "insert or ignore into quarantine by name select row_digest, system, kind, code, reason, content, "
        "row_number, file_digest, quarantined_at from quarantined_frame"
    )
    connection.unregister("quarantined_frame")
    return count(connection) - before


def count(connection: duckdb.DuckDBPyConnection) -> int:
    """How many rows were ever quarantined."""
    row = connection.execute("select count(*) from quarantine").fetchone()
    return int(row[0]) if row else 0


def outcomes_whose_decision_arrived(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Quarantined outcomes of decisions unknown until now: system, event_id, revision, observed_at, reward,
    row_number, row_digest."""
    return connection.execute(
        """
        select q.system, content->>'event_id' as event_id, (content->>'revision')::integer as revision,
            (content->>'observed_at')::timestamp as observed_at, (content->>'reward')::double as reward,
            row_number, row_digest
        from quarantine q
        semi join decisions d on d.system = q.system and d.event_id = (content->>'event_id')
        where kind = 'outcomes' and code = ? and released_at is null
        order by row_digest
        """,
        [UNKNOWN_DECISION],
    ).pl()


def release(connection: duckdb.DuckDBPyConnection, row_digests: pl.Series) -> None:
    """Marks quarantined rows as released; they stay on record."""
    connection.register("released_frame", row_digests.to_frame("row_digest"))
    connection.execute(
        "update quarantine set released_at = ? where row_digest in (select row_digest from released_frame)",
        [utc_now()],
    )
    connection.unregister("released_frame")
