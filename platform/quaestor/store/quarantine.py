"""Rows that may not enter: kept with their reason until someone looks, or until what they lacked arrives."""

from __future__ import annotations

import hashlib
from datetime import datetime

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
        "insert into quarantine by name select row_digest, system, kind, code, reason, content, "
        "row_number, file_digest, quarantined_at from quarantined_frame anti join quarantine using (row_digest)"
    )
    connection.unregister("quarantined_frame")
    return count(connection) - before


def count(connection: duckdb.DuckDBPyConnection) -> int:
    """How many rows were ever quarantined."""
    row = connection.execute("select count(*) from quarantine").fetchone()
    return int(row[0]) if row else 0


def shares(
    connection: duckdb.DuckDBPyConnection, system: str, since: datetime, waiting_since: datetime
) -> pl.DataFrame:
    """What became of the rows of a system since a moment, by the kinds of which any are in quarantine: kind, refused,
    entered, and the most frequent code with one of its reasons.

    Outcomes that wait for their decision count as refused only where they have waited since `waiting_since`.
    """
    refused = connection.execute(
        """
        with codes as (
            select kind, code, any_value(reason) as reason, count(*) as rows from quarantine
            where system = ? and quarantined_at >= ? and released_at is null
                and (code <> ? or quarantined_at < ?)
            group by kind, code
        )
        select kind, sum(rows)::bigint as refused, arg_max(code, rows) as code, arg_max(reason, rows) as reason
        from codes group by kind order by kind
        """,
        [system, since, UNKNOWN_DECISION, waiting_since],
    ).pl()
    entered = []
    for kind in refused["kind"]:
        row = connection.execute(
            f"select count(*) from {kind} where system = ? "
            "and file_digest in (select digest from ingested_files where ingested_at >= ?)",
            [system, since],
        ).fetchone()
        entered.append(int(row[0]) if row else 0)
    return refused.with_columns(entered=pl.Series(entered, dtype=pl.Int64))


def outcomes_whose_decision_arrived(connection: duckdb.DuckDBPyConnection, file_digest: str) -> pl.DataFrame:
    """Quarantined outcomes whose decision came with this file: system, event_id, revision, observed_at, reward,
    row_number, row_digest."""
    waiting = connection.execute(
        """
        select q.system, content->>'event_id' as event_id, (content->>'revision')::integer as revision,
            (content->>'observed_at')::timestamp as observed_at, (content->>'reward')::double as reward,
            row_number, row_digest
        from quarantine q where kind = 'outcomes' and code = ? and released_at is null
        order by row_digest
        """,
        [UNKNOWN_DECISION],
    ).pl()
    if waiting.is_empty():
        return waiting
    connection.register("waiting_frame", waiting)
    arrived = connection.execute(
        "select * from waiting_frame semi join (select system, event_id from decisions where file_digest = ?) "
        "using (system, event_id) order by row_digest",
        [file_digest],
    ).pl()
    connection.unregister("waiting_frame")
    return arrived


def release(connection: duckdb.DuckDBPyConnection, row_digests: pl.Series) -> None:
    """Marks quarantined rows as released; they stay on record."""
    connection.register("released_frame", row_digests.to_frame("row_digest"))
    connection.execute(
        "update quarantine set released_at = ? where row_digest in (select row_digest from released_frame)",
        [utc_now()],
    )
    connection.unregister("released_frame")


def waiting(
    connection: duckdb.DuckDBPyConnection,
    system: str,
    kind: str,
    code: str,
    rows: int | None = None,
    after: int = 0,
) -> pl.DataFrame:
    """Waiting rows of one system, kind and code, in the order of their files, so many after the first so many:
    row_digest, file, row_number, reason, content (JSON), quarantined_at."""
    return connection.execute(
        """
        select row_digest, coalesce(name, '') as file, row_number, reason, content::varchar as content, quarantined_at
        from quarantine left join ingested_files on digest = file_digest
        where system = ? and kind = ? and code = ? and released_at is null
        order by quarantined_at, file_digest, row_number, row_digest
        limit ? offset ?
        """,
        [system, kind, code, rows, after],
    ).pl()
