"""Evidence and verdicts about iterations, kept for good."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import duckdb
import polars as pl

from quaestor.clock import utc_now


def add(
    connection: duckdb.DuckDBPyConnection,
    iteration_id: str,
    kind: str,
    content: str,
    incumbent_id: str | None = None,
) -> str:
    """Keeps a piece of evidence (content as JSON) and returns its id; the same again changes nothing."""
    evidence_id = hashlib.sha256("\x1f".join((iteration_id, kind, incumbent_id or "", content)).encode()).hexdigest()
    connection.execute(
        "insert or ignore into evidence values (?, ?, ?, ?, ?, ?)",
        [evidence_id, iteration_id, kind, incumbent_id, content, utc_now()],
    )
    return evidence_id


def latest(
    connection: duckdb.DuckDBPyConnection, iteration_id: str, kind: str, incumbent_id: str | None = None
) -> tuple[str, Any] | None:
    """The newest evidence of a kind, as its id and parsed content; against one incumbent where it is given."""
    row = connection.execute(
        "select evidence_id, content from evidence where iteration_id = ? and kind = ? "
        "and (?::varchar is null or incumbent_id = ?) order by created_at desc, evidence_id limit 1",
        [iteration_id, kind, incumbent_id, incumbent_id],
    ).fetchone()
    return None if row is None else (row[0], json.loads(row[1]))


def newest(
    connection: duckdb.DuckDBPyConnection, kind: str, system: str | None = None
) -> dict[str, dict[str | None, Any]]:
    """The newest evidence of a kind of every iteration: iteration_id → incumbent_id → parsed content, the newest
    first. Evidence that names no incumbent is under None."""
    rows = connection.execute(
        "select iteration_id, incumbent_id, content::varchar from evidence "
        "where kind = $kind and ($system is null or iteration_id in "
        "(select iteration_id from iterations where system = $system)) "
        "qualify row_number() over (partition by iteration_id, incumbent_id order by created_at desc, evidence_id) = 1 "
        "order by created_at desc, evidence_id",
        {"kind": kind, "system": system},
    ).fetchall()
    found: dict[str, dict[str | None, Any]] = {}
    for iteration_id, incumbent_id, content in rows:
        found.setdefault(iteration_id, {})[incumbent_id] = json.loads(content)
    return found


def of_kind(connection: duckdb.DuckDBPyConnection, kind: str) -> pl.DataFrame:
    """All evidence of a kind, oldest first: system, iteration_id, incumbent_id, content (JSON), created_at."""
    return connection.execute(
        "select i.system, e.iteration_id, e.incumbent_id, e.content::varchar as content, e.created_at "
        "from evidence e join iterations i using (iteration_id) where e.kind = ? order by e.created_at, e.evidence_id",
        [kind],
    ).pl()


def add_verdict(
    connection: duckdb.DuckDBPyConnection,
    iteration_id: str,
    incumbent_id: str | None,
    stage: str,
    reasons: tuple[str, ...],
    evidence_ids: tuple[str, ...],
) -> bool:
    """Keeps a verdict; returns whether it is new. The same verdict on the same evidence is kept once."""
    parts = (iteration_id, incumbent_id or "", stage, *reasons, *evidence_ids)
    verdict_id = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    known = connection.execute("select 1 from verdicts where verdict_id = ?", [verdict_id]).fetchone()
    if known is None:
        connection.execute(
            "insert into verdicts values (?, ?, ?, ?, ?, ?, ?)",
            [verdict_id, iteration_id, incumbent_id, stage, list(reasons), list(evidence_ids), utc_now()],
        )
    return known is None


def verdicts(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The newest verdict of each iteration: iteration_id, incumbent_id, stage, reasons, evidence_ids, created_at."""
    return connection.execute(
        "select distinct on (iteration_id) iteration_id, incumbent_id, stage, reasons, evidence_ids, created_at "
        "from verdicts order by iteration_id, created_at desc"
    ).pl()
