"""Forgets a data subject everywhere: rows, and what is to be said of iterations that learnt from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from quaestor.clock import utc_now
from quaestor.errors import UsageError
from quaestor.export.from_iteration import GOLDEN_ROWS
from quaestor.log.subjects import subject_hash, subject_key
from quaestor.registry.staleness import changed_since
from quaestor.store import Connection, Store, audit, bundles, deletion, forgetting, health, iterations
from quaestor.store.audit import Entry
from quaestor.store.later import FORGOTTEN
from quaestor.study import did_you_mean


@dataclass(frozen=True)
class Forgotten:
    """What went, and what changes by it. rows: by kind. iterations: those that had learnt from it, by id, with the
    rounds that they lost; they stay as they are, named by their content, and say that they are stale. golden: folders
    of iterations and bundles with one of the rows among their golden choices; nothing in them can change while they are
    what they are named, so that a person replaces and deletes them."""

    system: str
    rows: dict[str, int]
    iterations: dict[str, int]
    golden: tuple[str, ...] = ()

    def sentence(self) -> str:
        """The same in words."""
        rows = ", ".join(f"{count:,} {kind}" for kind, count in self.rows.items())
        said = f"{self.system}: {rows} deleted for good."
        if self.iterations:
            names = ", ".join(f"{name[:12]} ({count:,} rounds)" for name, count in self.iterations.items())
            said += f" Learnt from them and are stale now: {names}. Retrain."
        if self.golden:
            said += (
                f" Some are still golden choices, which are signed and cannot change: {', '.join(self.golden)}. "
                "Promote and export an iteration trained from now on, then delete these folders and their archives."
            )
        return said


def forget_subject(store: Store, system: str, subject: str, actor: str, reason: str) -> Forgotten:
    """Deletes one subject's rows and writes down that it happened, never who it was; doing it again is harmless.

    Raises UsageError without a reason or a subject, and for a system that the store has never heard of: that nothing
    is there of a subject is an answer, that a system was mistyped is none.
    """
    if not reason.strip() or not subject:
        raise UsageError("Name a subject, and a reason without that name: it is kept in the audit trail.")
    pseudonym, now = subject_hash(subject, subject_key(store.path.parent)), utc_now()
    with store.write() as connection:
        known = health.heard_of(connection)
        if system not in known:
            near = did_you_mean(system, known) if known else " It holds nothing yet: is QUAESTOR_DATA the right folder?"
            raise UsageError(f"No system {system!r} in this store; nobody was forgotten.{near}")
        before = _lost(connection, system)
        theirs = forgetting.events_of(connection, system, pseudonym)
        golden = _golden(connection, store.path.parent, system, theirs)
        rows = forgetting.forget(connection, system, pseudonym, now)
        lost = {name: count - before[name] for name, count in _lost(connection, system).items()}
        learnt = {name: count for name, count in lost.items() if count}
        for kind, count in rows.items():
            if count:
                deletion.write_down(connection, now, actor, system, kind, now, count, reason)
        for name in learnt or {"": 0}:
            audit.add(connection, Entry(actor, "forget", system, name, reason))
    forgetting.scrub(store)
    return Forgotten(system, rows, learnt, golden)


def _lost(connection: Connection, system: str) -> dict[str, int]:
    """How many of the rounds that each iteration learnt from have been forgotten since."""
    return {
        row["iteration_id"]: changed_since(
            connection, system, json.loads(row["manifest"])["data"], row["created_at"]
        ).get(FORGOTTEN, 0)
        for row in iterations.listing(connection, system).iter_rows(named=True)
    }


def _golden(connection: Connection, data: Path, system: str, events: frozenset[str]) -> tuple[str, ...]:
    """The folders of iterations of a system, and of their bundles, that keep one of these events as a golden choice."""
    exported = bundles.listing(connection)
    found = []
    for row in iterations.listing(connection, system).iter_rows(named=True):
        folder = data / row["folder"]
        rows = json.loads((folder / GOLDEN_ROWS).read_bytes()) if (folder / GOLDEN_ROWS).is_file() else []
        if any(each.get("event_id") in events for each in rows):
            found += [str(folder), *exported.filter(iteration_id=row["iteration_id"])["folder"].to_list()]
    return tuple(found)
