"""Whether what an iteration learnt from has changed since: its certificate then speaks of data that is no more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from quaestor.store import Connection, later

_EVER = datetime(1, 1, 1)


def changed_since(
    connection: Connection, system: str, data: Mapping[str, Any], learnt_at: datetime
) -> Mapping[str, int]:
    """What came in after `learnt_at` (UTC) although it belongs to the records that a manifest's data names: how many
    decisions, outcomes, corrections, records of demand, contradictions; those that are none are left out."""
    found: Mapping[str, int] = {}
    if "as_of" in data and "attribution_hours" in data:
        hours = float(data["attribution_hours"])
        first = datetime.fromisoformat(str(data["decided_from"])) if data.get("decided_from") else _EVER
        closed = datetime.fromisoformat(str(data["as_of"])).replace(tzinfo=None) - timedelta(hours=hours)
        found = later.rounds(connection, system, learnt_at, first, closed, hours)
    elif data.get("demand_system") is not None and "windows" in data:
        found = later.demand(connection, str(data["demand_system"]), learnt_at, int(data["windows"]["test"][1]))
    return {name: int(count) for name, count in found.items() if count}


def staleness(changed: Mapping[str, int], learnt_at: datetime) -> str | None:
    """The same as a sentence; None where nothing changed."""
    if not changed:
        return None
    came = [f"{count:,} {name}" for name, count in changed.items() if name != later.FORGOTTEN]
    parts = [f"{' and '.join(came)} came in that belong to"] if came else []
    parts += [f"{changed[later.FORGOTTEN]:,} rounds were forgotten of"] if later.FORGOTTEN in changed else []
    return (
        f"Stale: since it learnt at {learnt_at:%Y-%m-%d %H:%M} UTC, {', and '.join(parts)} the records it rests on. "
        "Retrain, or certify it again knowing that."
    )
