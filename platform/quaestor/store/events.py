"""Decisions, outcomes and demand on their way into their tables."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import duckdb
import polars as pl

from quaestor.store import quarantine
from quaestor.store.append import DECISIONS, DEMAND, OUTCOMES, Appended, append

NO_ROWS = pl.DataFrame(
    schema={
        "row_number": pl.Int64,
        "system": pl.String,
        "code": pl.String,
        "reason": pl.String,
        "content": pl.String,
    }
)


@dataclass(frozen=True)
class Entered:
    """What became of good rows: added, already there, refused (with row_number, system, code, reason, content),
    and outcomes released from quarantine because their decision has now arrived."""

    added: int
    duplicate: int
    refused: pl.DataFrame
    released: int = 0


def add_decisions(connection: duckdb.DuckDBPyConnection, rows: pl.DataFrame, file_digest: str) -> Entered:
    """Appends checked decisions, then the quarantined outcomes that were waiting for them."""
    numeric = [name for name in rows.columns if name.startswith("numeric_")]
    category = [name for name in rows.columns if name.startswith("category_")]
    schema_id = _register_schema(connection, numeric, category)
    staged = rows.with_columns(
        pl.col("decided_at").dt.replace_time_zone(None),
        pl.col("fallback").fill_null(False),
        schema_id=pl.lit(schema_id),
        numeric_features=_as_list([pl.col(name).fill_nan(None) for name in numeric], pl.Float64()),
        category_features=_as_list([pl.col(name) for name in category], pl.String()),
    )
    appended = append(connection, DECISIONS, staged, file_digest)
    released = _release_waiting_outcomes(connection, file_digest)
    return Entered(appended.added, appended.duplicate, _conflicts(appended, "decision"), released)


def add_outcomes(connection: duckdb.DuckDBPyConnection, rows: pl.DataFrame, file_digest: str) -> Entered:
    """Appends checked outcomes; those of unknown decisions, or observed before their decision, are refused."""
    staged = rows.with_columns(pl.col("observed_at").dt.replace_time_zone(None), pl.col("revision").fill_null(0))
    connection.register("outcome_frame", staged)
    judged = connection.execute(
        """
        select o.*, d.event_id is null as unknown, o.observed_at < d.decided_at as early
        from outcome_frame o left join decisions d using (system, event_id)
        order by row_number
        """
    ).pl()
    connection.unregister("outcome_frame")
    unknown = judged.filter("unknown")
    early = judged.filter(pl.col("early").fill_null(False))
    appended = append(
        connection,
        OUTCOMES,
        judged.filter(~pl.col("unknown") & ~pl.col("early").fill_null(True)),
        file_digest,
    )
    refused = [
        _refuse(unknown, quarantine.UNKNOWN_DECISION, "no decision has this event_id; the outcome waits for it"),
        _refuse(early, "early", "the outcome was observed before its decision; check the clocks"),
        _conflicts(appended, "outcome"),
    ]
    return Entered(appended.added, appended.duplicate, pl.concat(refused))


def add_demand(connection: duckdb.DuckDBPyConnection, rows: pl.DataFrame, file_digest: str) -> Entered:
    """Appends checked demand records."""
    appended = append(connection, DEMAND, rows, file_digest)
    return Entered(appended.added, appended.duplicate, _conflicts(appended, "demand record"))


def _release_waiting_outcomes(connection: duckdb.DuckDBPyConnection, file_digest: str) -> int:
    waiting = quarantine.outcomes_whose_decision_arrived(connection)
    if waiting.is_empty():
        return 0
    entered = add_outcomes(connection, waiting, file_digest)
    quarantine.add(connection, "outcomes", entered.refused, file_digest)
    quarantine.release(connection, waiting["row_digest"])
    return entered.added


def _register_schema(connection: duckdb.DuckDBPyConnection, numeric: list[str], category: list[str]) -> str:
    names = [
        [name.removeprefix("numeric_") for name in numeric],
        [name.removeprefix("category_") for name in category],
    ]
    schema_id = hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]
    connection.execute(
        "insert or ignore into context_schemas values (?, ?::varchar[], ?::varchar[])", [schema_id, *names]
    )
    return schema_id


def _as_list(columns: list[pl.Expr], dtype: pl.DataType) -> pl.Expr:
    if not columns:
        return pl.lit([], dtype=pl.List(dtype))
    return pl.concat_list(columns)


def _conflicts(appended: Appended, what: str) -> pl.DataFrame:
    return _refuse(
        appended.conflicting,
        "conflict",
        f"another {what} of the same id says otherwise; neither overwrites the other",
    )


def _refuse(rows: pl.DataFrame, code: str, reason: str) -> pl.DataFrame:
    if rows.is_empty():
        return NO_ROWS
    content = pl.struct(pl.exclude("row_number", "unknown", "early", "row_digest")).struct.json_encode()
    return rows.select(
        pl.col("row_number").cast(pl.Int64),
        "system",
        pl.lit(code).alias("code"),
        pl.lit(reason + ".").alias("reason"),
        content.alias("content"),
    )
