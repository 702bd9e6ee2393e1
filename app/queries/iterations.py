"""Every iteration with what was written down of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from app.queries.store import remembered
from quaestor.registry.judging import GATE, HEALTH
from quaestor.registry.report import IterationReport, reports
from quaestor.store import Connection, demand, evidence, iterations

Kind: TypeAlias = Literal["payments", "inventory"]


@dataclass(frozen=True)
class Iteration:
    """An iteration and what was written down of it; number: its place among its system's iterations, from 0.

    generation: how many parents it has in a row. health: the evidence behind the alarms, where there is any. margin:
    the gain that the gate asked for, 0 where it is not known. data_until: when the newest of what it learnt from was
    known (UTC), None where its manifest does not say.
    """

    report: IterationReport
    kind: Kind
    number: int
    generation: int
    parent_id: str | None
    created_at: datetime
    manifest: dict[str, Any]
    health: dict[str, Any] | None
    margin: float = 0.0
    data_until: datetime | None = None

    @property
    def iteration_id(self) -> str:
        """Its id."""
        return self.report.iteration_id

    @property
    def data(self) -> dict[str, Any]:
        """The manifest of what it learnt from."""
        return dict(self.manifest["data"])

    @property
    def label(self) -> str:
        """How it is named on axes and in lists."""
        return f"{self.number} · {self.iteration_id[:12]}"


def every(connection: Connection) -> tuple[Iteration, ...]:
    """Every iteration in an open store, oldest first."""
    rows = {row["iteration_id"]: row for row in iterations.listing(connection).iter_rows(named=True)}
    manifests = {name: json.loads(row["manifest"]) for name, row in rows.items()}
    stocked = {rows[name]["system"] for name, manifest in manifests.items() if "network_id" in manifest["data"]}
    health, gates = evidence.newest(connection, HEALTH), evidence.newest(connection, GATE)
    recorded = {
        str(manifest["data"]["demand_system"]) for manifest in manifests.values() if _recorded(manifest["data"])
    }
    dates = demand.period_dates(connection, sorted(recorded)) if recorded else {}
    generations: dict[str, int] = {}
    numbers: dict[str, int] = {}
    found = []
    for report in reports(connection):
        name, system = report.iteration_id, report.system
        numbers[system] = numbers.get(system, -1) + 1
        parent_id = rows[name]["parent_id"]
        generations[name] = generations.get(parent_id, -1) + 1 if parent_id else 0
        gate = _against(gates.get(name, {}), report.incumbent_id)
        found.append(
            Iteration(
                report=report,
                kind="inventory" if system in stocked else "payments",
                number=numbers[system],
                generation=generations[name],
                parent_id=parent_id,
                created_at=rows[name]["created_at"],
                manifest=manifests[name],
                health=_against(health.get(name, {}), report.incumbent_id),
                margin=float(gate["margin"]) if gate else 0.0,
                data_until=_data_until(manifests[name]["data"], dates),
            )
        )
    return tuple(found)


def newest_judged(iterations: Sequence[Iteration]) -> Iteration:
    """The newest iteration with an evaluation; the newest of all where none has one."""
    judged = [each for each in iterations if each.report.evaluation is not None]
    return (judged or list(iterations))[-1]


@remembered
def all_iterations(connection: Connection) -> tuple[Iteration, ...]:
    """Every iteration, oldest first."""
    return every(connection)


def _recorded(data: dict[str, Any]) -> bool:
    return bool(data.get("demand_system")) and "windows" in data


def _data_until(data: dict[str, Any], dates: dict[str, list[datetime | None]]) -> datetime | None:
    """Of rounds, the moment up to which they were read; of demand, the start of the last period that was played."""
    try:
        if "as_of" in data:
            return datetime.fromisoformat(str(data["as_of"])).replace(tzinfo=None)
        return dates[str(data["demand_system"])][int(data["windows"]["test"][1]) - 1] if _recorded(data) else None
    except (ValueError, TypeError, KeyError, IndexError):  # one odd manifest hides no other
        return None


def _against(found: dict[str | None, dict[str, Any]], incumbent_id: str | None) -> dict[str, Any] | None:
    """The newest evidence against an incumbent, or of all where there is none to be against."""
    return found.get(incumbent_id) if incumbent_id else next(iter(found.values()), None)
