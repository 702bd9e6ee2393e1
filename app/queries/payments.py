"""What the payments screens read: what was kept of iterations, how outcomes arrive, and single decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from app.queries.store import existing, remembered, remembered_of_events
from quaestor.export.explanation import Explanation, explain_decision
from quaestor.settings import Settings
from quaestor.store import Connection, delays, evidence, rounds

DECISIONS_LISTED = 100


@dataclass(frozen=True)
class Waiting:
    """How outcomes of a system arrive. curve: hours, answered, rounds; pending: hours (of age), answered, rounds."""

    curve: pl.DataFrame
    pending: pl.DataFrame


@remembered
def truths(connection: Connection) -> dict[str, float]:
    """The true share of the gap of every iteration of a simulated world, by its id."""
    found = evidence.newest(connection, "truth")
    return {name: float(next(iter(kept.values()))["share_of_gap"]) for name, kept in found.items()}


@remembered_of_events
def waiting(connection: Connection, system: str, attribution_hours: float, minute: str) -> Waiting:
    """How outcomes arrive as of a minute (ISO, UTC)."""
    as_of = datetime.fromisoformat(minute)
    return Waiting(
        curve=delays.delay_curve(connection, system, attribution_hours, as_of),
        pending=delays.pending_by_age(connection, system, attribution_hours, as_of),
    )


@remembered_of_events
def newest_decisions(connection: Connection, system: str) -> pl.DataFrame:
    """The newest decisions of a system, newest first: event_id, decided_at, iteration_id, action, propensity, fallback,
    reward (null where none has arrived)."""
    return rounds.newest_decisions(connection, system, DECISIONS_LISTED)


@remembered_of_events
def systems_deciding(connection: Connection) -> tuple[str, ...]:
    """Every system with a decision in the store."""
    return rounds.systems(connection)


def explained(event_id: str, system: str | None) -> Explanation:
    """One decision, derived again; raises UsageError when there is none, or several and no system is given."""
    settings = Settings()
    return explain_decision(existing(settings.store), settings.data, event_id, system)
