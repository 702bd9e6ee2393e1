"""Evidence and verdicts about iterations, kept for good."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import duckdb
import polars as pl

from quaestor.clock import utc_now
from quaestor.errors import UsageError


def add(
    connection: duckdb.DuckDBPyConnection,
    iteration_id: str,
    kind: str,
    content: str,
    incumbent_id: str | None = None,
) -> str:
    """Keeps a piece of evidence (content as JSON) and returns its id; the same as the newest changes nothing, and what
    was found before something else is the newest again."""
    evidence_id = hashlib.sha256("\x1f".join((iteration_id, kind, incumbent_id or "", content)).encode()).hexdigest()
    newest_id = connection.execute(
        "select evidence_id from evidence where iteration_id = ? and kind = ? and incumbent_id is not distinct from ? "
        "order by entry desc limit 1",
        [iteration_id, kind, incumbent_id],
    ).fetchone()
    if newest_id is not None and newest_id[0] == evidence_id:
        return evidence_id
    entry = _next_entry(connection, "evidence")
    found = connection.execute("update evidence set entry = ? where evidence_id = ?", [entry, evidence_id]).fetchone()
    if found is None or found[0] == 0:
        connection.execute(
            "insert into evidence values (?, ?, ?, ?, ?, ?, ?)",
            [evidence_id, iteration_id, kind, incumbent_id, content, utc_now(), entry],
        )
    return evidence_id


def latest(
    connection: duckdb.DuckDBPyConnection, iteration_id: str, kind: str, incumbent_id: str | None = None
) -> tuple[str, Any] | None:
    """The newest evidence of a kind, as its id and parsed content; against one incumbent where it is given."""
    row = connection.execute(
        "select evidence_id, content from evidence where iteration_id = ? and kind = ? "
        "and (?::varchar is null or incumbent_id = ?) order by entry desc limit 1",
        [iteration_id, kind, incumbent_id, incumbent_id],
    ).fetchone()
    return None if row is None else (row[0], json.loads(row[1]))


def newest_of_system(connection: duckdb.DuckDBPyConnection, system: str, kind: str) -> tuple[str, Any] | None:
    """The newest evidence of a kind of any iteration of a system, as its id and parsed content."""
    row = connection.execute(
        "select evidence_id, e.content from evidence e join iterations i using (iteration_id) "
        "where i.system = ? and e.kind = ? order by e.entry desc limit 1",
        [system, kind],
    ).fetchone()
    return None if row is None else (row[0], json.loads(row[1]))


def newest(
    connection: duckdb.DuckDBPyConnection, kind: str, system: str | None = None
) -> dict[str, dict[str | None, Any]]:
    """The newest evidence of a kind of every iteration: iteration_id → incumbent_id → parsed content, the newest
    first. Evidence that names no incumbent is under None."""
    found = newest_texts(connection, kind, system)
    return {name: {against: json.loads(text) for against, text in kept.items()} for name, kept in found.items()}


def newest_texts(
    connection: duckdb.DuckDBPyConnection, kind: str, system: str | None = None
) -> dict[str, dict[str | None, str]]:
    """The same with the content as it is kept, in JSON."""
    rows = connection.execute(
        "select iteration_id, incumbent_id, content::varchar from evidence "
        "where kind = $kind and ($system is null or iteration_id in "
        "(select iteration_id from iterations where system = $system)) "
        "qualify row_number() over (partition by iteration_id, incumbent_id order by entry desc) = 1 "
        "order by entry desc",
        {"kind": kind, "system": system},
    ).fetchall()
    found: dict[str, dict[str | None, str]] = {}
    for iteration_id, incumbent_id, content in rows:
        found.setdefault(iteration_id, {})[incumbent_id] = content
    return found


def of_kind(connection: duckdb.DuckDBPyConnection, kind: str) -> pl.DataFrame:
    """All evidence of a kind, oldest first: system, iteration_id, incumbent_id, content (JSON), created_at."""
    return connection.execute(
        "select i.system, e.iteration_id, e.incumbent_id, e.content::varchar as content, e.created_at "
        "from evidence e join iterations i using (iteration_id) where e.kind = ? order by e.entry",
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
    """Keeps a verdict; returns whether it says something new. The newest verdict again changes nothing, and an earlier
    one that is reached again is the newest again."""
    parts = (iteration_id, incumbent_id or "", stage, *reasons, *evidence_ids)
    verdict_id = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    newest_id = connection.execute(
        "select verdict_id from verdicts where iteration_id = ? order by entry desc limit 1", [iteration_id]
    ).fetchone()
    if newest_id is not None and newest_id[0] == verdict_id:
        return False
    entry = _next_entry(connection, "verdicts")
    found = connection.execute("update verdicts set entry = ? where verdict_id = ?", [entry, verdict_id]).fetchone()
    if found is None or found[0] == 0:
        connection.execute(
            "insert into verdicts values (?, ?, ?, ?, ?, ?, ?, ?)",
            [verdict_id, iteration_id, incumbent_id, stage, list(reasons), list(evidence_ids), utc_now(), entry],
        )
    return True


def verdicts(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The newest verdict of each iteration: iteration_id, incumbent_id, stage, reasons, evidence_ids, created_at."""
    return connection.execute(
        "select distinct on (iteration_id) iteration_id, incumbent_id, stage, reasons, evidence_ids, created_at "
        "from verdicts order by iteration_id, entry desc"
    ).pl()


def of_iteration(connection: duckdb.DuckDBPyConnection, iteration_id: str) -> pl.DataFrame:
    """What was kept of an iteration, newest first: evidence_id, kind, incumbent_id, created_at, bytes."""
    return connection.execute(
        "select evidence_id, kind, incumbent_id, created_at, octet_length(encode(content::varchar)) as bytes "
        "from evidence where iteration_id = ? order by entry desc",
        [iteration_id],
    ).pl()


def of_system(connection: duckdb.DuckDBPyConnection, system: str) -> pl.DataFrame:
    """What was kept of every iteration of a system, newest first: the columns of `of_iteration`, and iteration_id."""
    return connection.execute(
        "select e.iteration_id, evidence_id, kind, incumbent_id, e.created_at, "
        "octet_length(encode(content::varchar)) as bytes "
        "from evidence e join iterations i using (iteration_id) where i.system = ? order by e.entry desc",
        [system],
    ).pl()


def verdict_history(connection: duckdb.DuckDBPyConnection, iteration_id: str) -> pl.DataFrame:
    """Every verdict on an iteration, newest first: incumbent_id, stage, reasons, created_at."""
    return connection.execute(
        "select incumbent_id, stage, reasons, created_at from verdicts where iteration_id = ? order by entry desc",
        [iteration_id],
    ).pl()


def text(connection: duckdb.DuckDBPyConnection, evidence_id: str) -> str:
    """A piece of evidence as it is kept, in JSON; raises UsageError when there is none of this id."""
    row = connection.execute("select content::varchar from evidence where evidence_id = ?", [evidence_id]).fetchone()
    if row is None:
        raise UsageError(f"No evidence {evidence_id[:12]!r} in the store.")
    return str(row[0])


def _next_entry(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select coalesce(max(entry), 0) + 1 from {table}").fetchone()
    return int(row[0]) if row else 1
