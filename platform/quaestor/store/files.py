"""The files that have been ingested, by the digest of their bytes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import duckdb

from quaestor.clock import utc_now


def summary_of(connection: duckdb.DuckDBPyConnection, digest: str) -> dict[str, Any] | None:
    """The summary kept when this file was ingested, or None where it never was."""
    row = connection.execute("select summary from ingested_files where digest = ?", [digest]).fetchone()
    return json.loads(row[0]) if row else None


def record(
    connection: duckdb.DuckDBPyConnection, digest: str, name: str, file_format: str, summary: dict[str, Any]
) -> None:
    """Notes that a file has been ingested."""
    connection.execute(
        "insert into ingested_files values (?, ?, ?, ?, ?)",
        [digest, name, file_format, json.dumps(summary), utc_now()],
    )


def count(connection: duckdb.DuckDBPyConnection) -> int:
    """How many files were ever ingested."""
    row = connection.execute("select count(*) from ingested_files").fetchone()
    return int(row[0]) if row else 0


def heard_until(connection: duckdb.DuckDBPyConnection, now: datetime) -> datetime:
    """Up to when the store may know what happened (UTC): when a file was last brought in, or now where none was yet.

    What nobody has delivered yet is no missing outcome: where the feed is silent, or the clock runs ahead of it, no
    window closes. A file that was brought in after now came while some clock was wrong, and says nothing of when: else
    it would make up for every file that does not come until that day.
    """
    row = connection.execute("select max(ingested_at) from ingested_files where ingested_at <= ?", [now]).fetchone()
    return row[0] if row and row[0] else now
