"""Every alarm that the store gives rise to: the one function that console, command line and the watching flow read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from quaestor.alerts import arrivals, drifting, iterations
from quaestor.alerts.alarm import Alarm
from quaestor.alerts.limits import Alerts
from quaestor.store import Connection, alarms, health

SILENT = timedelta(hours=1)
"""Since the watch last looked; a schedule that has stopped cannot say so itself."""


def standing(connection: Connection, alerts: Alerts, refused: Mapping[str, str], now: datetime) -> tuple[Alarm, ...]:
    """What is beyond its limit now (UTC), the gravest first. refused: files that the inbox set aside, with why."""
    found = [*arrivals.refused_files(refused), *_watch(connection, now)]
    for system in sorted({*health.systems(connection), *alerts.systems}):
        limits = alerts.limits(system)
        found += [
            *arrivals.freshness(connection, system, limits, now),
            *arrivals.quarantined(connection, system, limits, now),
            *drifting.outcomes(connection, system, limits, now),
            *drifting.features(connection, system, limits, now),
            *drifting.demand(connection, system, limits),
            *iterations.of_system(connection, system, now),
        ]
    return tuple(sorted(found, key=lambda alarm: alarm.status != "stop"))


def _watch(connection: Connection, now: datetime) -> list[Alarm]:
    last = alarms.last_look(connection)
    if last is None or now - last <= SILENT:
        return []
    said = f"The watch last looked at {last:%Y-%m-%d %H:%M} UTC: is `make serve` running?"
    return [Alarm("late run", "schedule", "watch", "stop", said)]
