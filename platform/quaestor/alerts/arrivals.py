"""Alarms about what arrives: whether it does, how much of it is refused, and how much of it is never answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from quaestor.alerts.alarm import Alarm
from quaestor.alerts.limits import Limits
from quaestor.store import Connection, arrivals, quarantine

WAITS = timedelta(days=1)
"""For so long an outcome may lie in quarantine for its decision to arrive before it counts as refused."""


def freshness(connection: Connection, system: str, limits: Limits, now: datetime) -> Iterator[Alarm]:
    """The parts whose newest record is older than its limit."""
    hours = {
        "decisions": limits.decisions_hours,
        "outcomes": limits.outcomes_hours,
        "demand": limits.demand_hours,
        "orders": limits.orders_hours,
    }
    newest = {
        part: newest_at
        for of_system, part, newest_at in arrivals.newest(connection).select("system", "part", "newest_at").iter_rows()
        if of_system == system
    }
    for part, limit in hours.items():
        if limit is None:
            continue
        at = newest.get(part)
        if at is None:
            yield Alarm("freshness", system, part, "watch", f"{system}: nothing of its {part} has ever arrived.")
        elif now - at > timedelta(hours=limit):
            age = (now - at) / timedelta(hours=1)
            yield Alarm(
                "freshness",
                system,
                part,
                "watch",
                f"{system}: the newest of its {part} is {age:,.1f} hours old ({at:%Y-%m-%d %H:%M} UTC); at most "
                f"{limit:g} was expected. Look at whoever delivers them.",
            )


def quarantined(connection: Connection, system: str, limits: Limits, now: datetime) -> Iterator[Alarm]:
    """The kinds of rows of which too many were refused lately."""
    if limits.quarantine_share is None:
        return
    since = now - timedelta(days=limits.days)
    for row in quarantine.shares(connection, system, since, now - WAITS).iter_rows(named=True):
        share = row["refused"] / (row["refused"] + row["entered"])
        if share > limits.quarantine_share:
            yield Alarm(
                "quarantine",
                system,
                row["kind"],
                "watch",
                f"{system}: {share:.1%} of the {row['kind']} of the last {limits.days:g} days are in quarantine "
                f"({row['refused']:,}, most for {row['code']!r}); at most {limits.quarantine_share:.1%} is borne. "
                f"{row['reason']}",
            )


def refused_files(refused: Mapping[str, str]) -> Iterator[Alarm]:
    """The files of the inbox that were set aside, while they lie there."""
    if refused:
        name, reason = next(iter(refused.items()))
        more = "" if len(refused) == 1 else f" and {len(refused) - 1} more"
        yield Alarm(
            "refused files",
            "inbox",
            "files",
            "watch",
            f"The inbox's file {name}{more} could not be read and was set aside: {reason} "
            "Mend it and put it back into the inbox, or delete it.",
        )
