"""How decisions, outcomes and files have arrived."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from app.queries.store import reading
from quaestor.clock import utc_now
from quaestor.store import Connection, arrivals, health, iterations


@dataclass(frozen=True)
class Feedback:
    """How feedback stands. systems: one row each. days: system, day, decisions, with_outcome. files: ingest
    history, newest first. reasons: why rows wait in quarantine."""

    systems: pl.DataFrame
    days: pl.DataFrame
    files: pl.DataFrame
    reasons: pl.DataFrame
    read_at: datetime


def feedback() -> Feedback:
    """How decisions, outcomes and files have arrived."""
    now = utc_now()
    with reading() as connection:
        systems = health.feedback(connection)
        hours = _windows(connection)
        counts = [
            arrivals.standing(connection, system, hours[system], now) if system in hours else {}
            for system in systems["system"]
        ]
        parts = ("matured", "expired", "pending")
        return Feedback(
            systems=systems.with_columns(
                pl.Series("window_hours", [hours.get(system) for system in systems["system"]], dtype=pl.Float64),
                *(pl.Series(part, [count.get(part) for count in counts], dtype=pl.Int64) for part in parts),
            ),
            days=arrivals.daily(connection),
            files=health.ingest_history(connection),
            reasons=health.quarantine_reasons(connection),
            read_at=now,
        )


def _windows(connection: Connection) -> dict[str, float]:
    rows = iterations.listing(connection).select("system", "manifest").iter_rows()
    data = ((system, json.loads(manifest)["data"]) for system, manifest in rows)
    return {system: float(told["attribution_hours"]) for system, told in data if "attribution_hours" in told}
