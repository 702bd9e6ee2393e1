"""What the screens read: each function opens the store once, briefly, for reading, and returns values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

import polars as pl

from quaestor.clock import utc_now
from quaestor.errors import QuaestorError
from quaestor.registry.judging import HEALTH
from quaestor.registry.report import IterationReport, reports
from quaestor.settings import Settings
from quaestor.store import Connection, arrivals, audit, evidence, health, iterations, networks

Kind: TypeAlias = Literal["payments", "inventory"]

AUDIT_ENTRIES = 12


class NoStoreError(QuaestorError):
    """Nothing was ever kept in the data folder."""


@dataclass(frozen=True)
class Iteration:
    """An iteration and what was written down of it; number: its place among its system's iterations, from 0.

    health: the evidence behind the alarms, where there is any.
    """

    report: IterationReport
    kind: Kind
    number: int
    parent_id: str | None
    created_at: datetime
    manifest: dict[str, Any]
    health: dict[str, Any] | None

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


@dataclass(frozen=True)
class Overview:
    """The store at one moment. live: system, iteration_id, since. newest: system, part, newest_at, oldest first.
    entries: the latest audit entries, newest first. Times are UTC."""

    iterations: tuple[Iteration, ...]
    live: pl.DataFrame
    newest: pl.DataFrame
    entries: pl.DataFrame
    quarantined: int
    read_at: datetime


@dataclass(frozen=True)
class PaymentsEvidence:
    """What was kept of a payments iteration, and the true share of the gap of every iteration where it is known."""

    calibration: dict[str, Any] | None
    truths: dict[str, float]


@dataclass(frozen=True)
class InventoryEvidence:
    """What was kept of an inventory iteration: learning curve, plays of a few products, and the network."""

    learning_curve: dict[str, Any] | None
    plays: dict[str, Any] | None
    network: dict[str, Any] | None


@dataclass(frozen=True)
class Feedback:
    """How feedback stands. systems: one row each. days: system, day, decisions, with_outcome. files: ingest
    history, newest first. reasons: why rows wait in quarantine."""

    systems: pl.DataFrame
    days: pl.DataFrame
    files: pl.DataFrame
    reasons: pl.DataFrame
    read_at: datetime


def overview() -> Overview:
    """Everything that the first screen says."""
    with _reading() as connection:
        return Overview(
            iterations=_iterations(connection),
            live=audit.pointers(connection),
            newest=arrivals.newest(connection),
            entries=audit.trail(connection).tail(AUDIT_ENTRIES).reverse(),
            quarantined=int(health.figures(connection)["rows"]["quarantine"]),
            read_at=utc_now(),
        )


def all_iterations() -> tuple[Iteration, ...]:
    """Every iteration, oldest first."""
    with _reading() as connection:
        return _iterations(connection)


def payments_evidence(chosen: Iteration, generations: tuple[Iteration, ...]) -> PaymentsEvidence:
    """What was kept of one payments iteration, with the truths of all its system's generations."""
    with _reading() as connection:
        truths = {
            name: evidence.latest(connection, name, "truth") for name in (each.iteration_id for each in generations)
        }
        return PaymentsEvidence(
            calibration=_content(evidence.latest(connection, chosen.iteration_id, "calibration")),
            truths={name: float(found[1]["share_of_gap"]) for name, found in truths.items() if found},
        )


def inventory_evidence(chosen: Iteration) -> InventoryEvidence:
    """What was kept of one inventory iteration."""
    name, against = chosen.iteration_id, chosen.report.incumbent_id
    with _reading() as connection:
        return InventoryEvidence(
            learning_curve=_content(evidence.latest(connection, name, "learning_curve")),
            plays=_content(evidence.latest(connection, name, "plays", against)),
            network=networks.get(connection, str(chosen.data.get("network_id"))),
        )


def feedback() -> Feedback:
    """How decisions, outcomes and files have arrived."""
    now = utc_now()
    with _reading() as connection:
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


@contextmanager
def _reading() -> Iterator[Connection]:
    store = Settings().store
    if not store.path.exists():
        raise NoStoreError("There is no store yet.")
    with store.read() as connection:
        yield connection


def _iterations(connection: Connection) -> tuple[Iteration, ...]:
    rows = {row["iteration_id"]: row for row in iterations.listing(connection).iter_rows(named=True)}
    manifests = {name: json.loads(row["manifest"]) for name, row in rows.items()}
    stocked = {rows[name]["system"] for name, manifest in manifests.items() if "network_id" in manifest["data"]}
    numbers: dict[str, int] = {}
    found = []
    for report in reports(connection):
        name, system = report.iteration_id, report.system
        numbers[system] = numbers.get(system, -1) + 1
        found.append(
            Iteration(
                report=report,
                kind="inventory" if system in stocked else "payments",
                number=numbers[system],
                parent_id=rows[name]["parent_id"],
                created_at=rows[name]["created_at"],
                manifest=manifests[name],
                health=_content(evidence.latest(connection, name, HEALTH, report.incumbent_id)),
            )
        )
    return tuple(found)


def _windows(connection: Connection) -> dict[str, float]:
    rows = iterations.listing(connection).select("system", "manifest").iter_rows()
    data = ((system, json.loads(manifest)["data"]) for system, manifest in rows)
    return {system: float(told["attribution_hours"]) for system, told in data if "attribution_hours" in told}


def _content(found: tuple[str, Any] | None) -> dict[str, Any] | None:
    return None if found is None else dict(found[1])
