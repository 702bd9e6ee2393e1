"""The alarms that stood at the last look, as the store keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from quaestor.alerts.alarm import Alarm
from quaestor.alerts.telling import Known
from quaestor.store import Connection, alarms


def read(connection: Connection) -> tuple[Known, ...]:
    """The alarms that are not over, oldest first."""
    return tuple(
        Known(
            Alarm(row["subject"], row["system"], row["about"], row["status"], row["sentence"]),
            row["first_at"],
            row["seen_at"],
            row["told"],
        )
        for row in alarms.standing(connection).iter_rows(named=True)
    )


def keep(connection: Connection, known: Sequence[Known], now: datetime) -> None:
    """Makes these the alarms that stand; what stood and is not among them is over."""
    rows = [
        (
            each.alarm.subject, each.alarm.system, each.alarm.about, each.alarm.status, each.alarm.sentence,
            each.first_at, each.seen_at, each.told,
        )
        for each in known
    ]  # fmt: skip
    alarms.keep(connection, list(rows), now)
