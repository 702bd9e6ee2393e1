"""Enforces the windows: what is too old goes, unless an iteration that must stay verifiable rests on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from quaestor.registry.canonical import canonical_json
from quaestor.retention.resting import Resting, resting
from quaestor.retention.windows import RetentionWindows
from quaestor.store import Connection, deletion, evidence, health

DATA_DELETED = "data_deleted"
"""Evidence that records an iteration rests on have left the store: it can be verified from its files, not retrained."""


@dataclass(frozen=True)
class Leaving:
    """Rows of one kind of a system that are older than `up_to` (UTC) and go; with them, kind decisions, go the
    outcomes. held: rows that stay beyond the window, for the iterations in `needed_by`. broken: iterations that
    must stay verifiable and lose records all the same; losing: every iteration that does."""

    system: str
    kind: str
    up_to: datetime
    rows: int
    outcomes: int = 0
    held: int = 0
    needed_by: tuple[Resting, ...] = ()
    broken: tuple[Resting, ...] = ()
    losing: tuple[Resting, ...] = ()

    def sentence(self) -> str:
        """What goes and what stays, in words."""
        said = f"{self.system}: {self.rows:,} rows of {self.kind} from before {self.up_to:%Y-%m-%d %H:%M} UTC go"
        if self.outcomes:
            said += f", with {self.outcomes:,} outcomes"
        if self.held:
            said += f"; {self.held:,} older than the window stay for {_named(self.needed_by)}"
        if self.losing:
            said += f"; {len(self.losing)} iterations learnt from them and cannot be trained again"
        if self.broken:
            said += f"; what cannot be verified from its data any more: {_named(self.broken)}"
        return said + "."


def leaving(connection: Connection, windows: RetentionWindows, now: datetime) -> list[Leaving]:
    """What the windows let go at `now` (UTC); a window in which nothing is too old is left out."""
    iterations = resting(connection)
    found = []
    for system in sorted({*health.systems(connection), *deletion.quarantined_systems(connection)}):
        kept = windows.kept(system)
        for kind, days in (
            ("decisions", kept.decisions_days),
            ("orders", kept.decisions_days),
            ("demand", kept.demand_days),
            ("quarantine", kept.quarantine_days),
        ):
            if days is None:
                continue
            up_to = now - timedelta(days=days)
            on_it = [each for each in iterations if (each.kind, each.system) == (kind, system) and each.since < up_to]
            found.append(_leaving(connection, system, kind, up_to, on_it, windows.hold))
    return [each for each in found if each.rows or each.held]


def let_go(connection: Connection, going: Leaving, actor: str, now: datetime) -> None:
    """Deletes the rows, writes down that it did, and marks every iteration that loses records, once."""
    reason = going.sentence()
    if going.outcomes:
        deletion.delete(connection, "outcomes", going.system, going.up_to)
        deletion.write_down(
            connection, now, actor, going.system, "outcomes", going.up_to, going.outcomes, "went with their decisions"
        )
    if going.rows:
        deletion.delete(connection, going.kind, going.system, going.up_to)
        deletion.write_down(connection, now, actor, going.system, going.kind, going.up_to, going.rows, reason)
    for each in going.losing:
        if evidence.latest(connection, each.iteration_id, DATA_DELETED) is None:
            content = {"kind": going.kind, "system": going.system, "up_to": going.up_to.isoformat(), "by": actor}
            evidence.add(connection, each.iteration_id, DATA_DELETED, canonical_json(content))


def _leaving(
    connection: Connection, system: str, kind: str, up_to: datetime, on_it: list[Resting], hold: bool
) -> Leaving:
    needed = tuple(each for each in on_it if each.role is not None)
    held_from = min((each.since for each in needed), default=up_to) if hold else up_to
    rows, beyond = (deletion.count(connection, kind, system, moment) for moment in (held_from, up_to))
    made = Leaving(system, kind, held_from, rows, held=beyond - rows, needed_by=needed if hold else ())
    if kind == "decisions" and rows:
        made = replace(made, outcomes=deletion.count(connection, "outcomes", system, held_from))
    if rows:
        losing = tuple(each for each in on_it if each.since < held_from)
        made = replace(made, losing=losing, broken=tuple(each for each in losing if each.role is not None))
    return made


def _named(iterations: tuple[Resting, ...]) -> str:
    return ", ".join(f"{each.iteration_id[:12]} ({each.role})" for each in iterations)
