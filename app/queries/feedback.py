"""How decisions, outcomes and files have arrived, and what of it drifts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from app.queries.store import remembered, remembered_of_events
from quaestor.alerts import drift, drifting
from quaestor.alerts.drifting import Failures, FeatureShifts, declared_maturity
from quaestor.alerts.limits import Limits
from quaestor.store import Connection, arrivals, audit, files, health, quarantine, round_hours, windows
from quaestor.store.windows import Windows

PAGE = 50
"""Rows of a long list that are read and shown at once."""


@dataclass(frozen=True)
class Feedback:
    """How feedback stands. systems: one row each. days: system, day, decisions, with_outcome. newest: system, part,
    newest_at, oldest first. files: how many were ingested. reasons: why rows wait in quarantine."""

    systems: pl.DataFrame
    days: pl.DataFrame
    newest: pl.DataFrame
    files: int
    reasons: pl.DataFrame


@dataclass(frozen=True)
class Drift:
    """What moved in a system between two windows; each None where there is too little to compare. demand: period,
    starts_on, units. level: how far the newest demand lies from that before it, and how many periods those are."""

    decided: Windows | None
    failures: Failures | None
    features: FeatureShifts | None
    demand: pl.DataFrame
    level: tuple[drift.Shift, int] | None


@remembered_of_events
def feedback(connection: Connection, moment: str) -> Feedback:
    """How decisions, outcomes and files have arrived by a moment (ISO, UTC)."""
    as_of, newest = datetime.fromisoformat(moment), arrivals.newest(connection)
    systems = round_hours.totals(connection)
    rows = []
    for system in systems["system"]:
        declared = declared_maturity(connection, system)
        hours = declared.attribution_hours if declared else None
        counts = round_hours.standing(connection, system, hours, as_of) if hours else {}
        parts = {part: counts.get(part) for part in ("matured", "expired", "pending")}
        at = {part: newest_at for name, part, newest_at in newest.iter_rows() if name == system}
        rows.append((system, hours, *parts.values(), at.get("decisions"), at.get("outcomes")))
    moment_type = pl.Datetime("us")
    schema = pl.Schema(
        {
            "system": pl.String(),
            "window_hours": pl.Float64(),
            "matured": pl.Int64(),
            "expired": pl.Int64(),
            "pending": pl.Int64(),
            "newest_decision": moment_type,
            "newest_outcome": moment_type,
        }
    )
    return Feedback(
        systems=systems.join(pl.DataFrame(rows, schema=schema, orient="row"), on="system", maintain_order="left"),
        days=round_hours.daily(connection),
        newest=newest,
        files=files.count(connection),
        reasons=health.quarantine_reasons(connection),
    )


@remembered_of_events
def ingested(connection: Connection, page: int) -> pl.DataFrame:
    """A page of the ingest history, newest first."""
    return health.ingest_history(connection, PAGE, page * PAGE)


@remembered_of_events
def waiting(connection: Connection, system: str, kind: str, code: str, page: int) -> pl.DataFrame:
    """A page of the rows that wait in quarantine: row_digest, file, row_number, reason, content, quarantined_at."""
    return quarantine.waiting(connection, system, kind, code, PAGE, page * PAGE)


@remembered
def resubmissions(connection: Connection, action: str) -> pl.DataFrame:
    """The latest audit entries of an action, newest first: entered_at, actor, system, reason."""
    found = audit.trail(connection).filter(pl.col("action") == action).tail(PAGE).reverse()
    return found.select("entered_at", "actor", "system", "reason")


@remembered_of_events
def drifted(connection: Connection, system: str, moment: str) -> Drift:
    """What moved in a system by a moment (ISO, UTC), in the limits' usual windows and by the alarms' own arithmetic."""
    now, limits = datetime.fromisoformat(moment), Limits()
    until = windows.newest_decision(connection, system, now)
    return Drift(
        decided=Windows.before(until, limits.days, limits.reference_days) if until else None,
        failures=drifting.failures(connection, system, limits, now),
        features=drifting.feature_shifts(connection, system, limits, now),
        demand=windows.demand_totals(connection, system),
        level=drifting.demand_shift(connection, system, limits),
    )
