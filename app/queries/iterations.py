"""Every iteration with what was written down of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from app.queries.store import remembered
from quaestor.registry.judging import GATE, HEALTH
from quaestor.registry.report import IterationReport, reports
from quaestor.store import Connection, evidence, iterations

Kind: TypeAlias = Literal["payments", "inventory"]


@dataclass(frozen=True)
class Iteration:
    """An iteration and what was written down of it; number: its place among its system's iterations, from 0.

    generation: how many parents it has in a row. health: the evidence behind the alarms, where there is any. margin:
    the gain that the gate asked for, 0 where it is not known.
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
            )
        )
    return tuple(found)


@remembered
def all_iterations(connection: Connection) -> tuple[Iteration, ...]:
    """Every iteration, oldest first."""
    return every(connection)


def _against(found: dict[str | None, dict[str, Any]], incumbent_id: str | None) -> dict[str, Any] | None:
    """The newest evidence against an incumbent, or of all where there is none to be against."""
    return found.get(incumbent_id) if incumbent_id else next(iter(found.values()), None)
