"""What iterations rest on: from when on they learnt, and which of them must stay verifiable."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quaestor.registry.promotion import live_history
from quaestor.registry.stages import with_stages
from quaestor.store import Connection, audit

EVER = datetime.min


@dataclass(frozen=True)
class Resting:
    """An iteration on records of a system: decisions taken, or demand of periods that began, from `since` on (UTC).

    role: why it must stay verifiable (live, rollback target, waits for approval), or None where it need not.
    """

    iteration_id: str
    kind: str
    system: str
    since: datetime
    role: str | None


def resting(connection: Connection) -> list[Resting]:
    """Every iteration that learnt from records of the store, oldest first."""
    targets = {}
    for system, live in audit.pointers(connection).select("system", "iteration_id").iter_rows():
        targets[live] = "live"
        for former in live_history(audit.trail(connection, system))[-2:-1]:
            targets.setdefault(former, "rollback target")
    found = []
    for name, system, stage, manifest in (
        with_stages(connection).select("iteration_id", "system", "stage", "manifest").iter_rows()
    ):
        role = targets.get(name) or (stage if stage == "waits for approval" else None)
        found += [Resting(name, *each, role) for each in _rests_on(json.loads(manifest)["data"], system)]
    return found


def _rests_on(data: dict[str, Any], system: str) -> list[tuple[str, str, datetime]]:
    """Kind, system and since-when of the records behind a manifest; a manifest that does not say when rests on all."""
    if "rounds" in data and "as_of" in data:
        return [("decisions", system, _moment(data.get("decided_from")))]
    if data.get("demand_system", system) is not None and "demand" in data:
        return [("demand", str(data.get("demand_system", system)), EVER)]  # a panel is one thing, from its start
    return []


def _moment(text: Any) -> datetime:
    return datetime.fromisoformat(str(text)) if text else EVER
