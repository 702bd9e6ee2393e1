"""What was kept as evidence, as rows: what the figures of an iteration are read from."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from app.queries.store import remembered, remembered_of_events
from quaestor.store import Connection, evidence, health, round_hours, rounds

ROUNDS_LISTED = 100


@remembered
def evidence_of(connection: Connection, *iteration_ids: str) -> pl.DataFrame:
    """Every piece of evidence of some iterations, newest first: iteration, kind, evidence_id, against, kept at (UTC),
    bytes."""
    return _told(
        pl.concat(
            evidence.of_iteration(connection, name).with_columns(iteration_id=pl.lit(name)) for name in iteration_ids
        )
    )


@remembered
def evidence_of_system(connection: Connection, system: str) -> pl.DataFrame:
    """The same of every iteration of a system."""
    return _told(evidence.of_system(connection, system))


@remembered_of_events
def outcomes_of(connection: Connection, system: str, event_id: str) -> pl.DataFrame:
    """Every outcome of one decision: event_id, revision, observed at (UTC), reward, file."""
    found = rounds.outcomes_of(connection, system, event_id)
    return found.select(
        "event_id",
        "revision",
        pl.col("observed_at").alias("observed at (UTC)"),
        "reward",
        pl.col("file_digest").str.head(12).alias("file"),
    )


@remembered_of_events
def closed_rounds(connection: Connection, system: str, as_of: str, attribution_hours: float) -> pl.DataFrame:
    """The newest rounds of a system whose window had closed by a moment (ISO, UTC), with what came of them."""
    closed = datetime.fromisoformat(as_of).replace(tzinfo=None) - timedelta(hours=attribution_hours)
    found = rounds.newest_decisions(connection, system, ROUNDS_LISTED, closed)
    return found.select(
        "event_id",
        pl.col("decided_at").dt.truncate("1s").alias("decided at (UTC)"),
        pl.col("iteration_id").str.head(12).alias("iteration"),
        "action",
        "propensity",
        "reward",
    )


@remembered_of_events
def hours_of(connection: Connection) -> pl.DataFrame:
    """Decisions of every system by day, newest first, which all counts of rounds are sums of: system, day, decisions,
    with an outcome."""
    found = round_hours.daily(connection).sort("day", "system", descending=[True, False])
    return found.rename({"with_outcome": "with an outcome"})


@remembered_of_events
def files_of(connection: Connection, most: int) -> pl.DataFrame:
    """The newest ingested files, which every event came in."""
    found = health.ingest_history(connection, most, 0)
    return found.with_columns(pl.col("ingested_at").dt.truncate("1s")).rename({"ingested_at": "ingested at (UTC)"})


def _told(found: pl.DataFrame) -> pl.DataFrame:
    return found.select(
        pl.col("iteration_id").str.head(12).alias("iteration"),
        "kind",
        pl.col("evidence_id").str.head(12),
        pl.col("incumbent_id").str.head(12).alias("against"),
        pl.col("created_at").dt.truncate("1s").alias("kept at (UTC)"),
        "bytes",
    )
