"""Bugs that are put in on purpose, to see that the simulation finds them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quaestor.store import Connection, Store, events
from quaestor.store.fencing import Grant


@dataclass(frozen=True)
class Plant:
    """A bug: what is replaced by what, or a disk that is told to sync and does not. breaks: the invariants that it
    breaks, by their numbers."""

    replaced: Mapping[str, Any] = field(default_factory=dict)
    deaf: bool = False
    deaf_folders: bool = False
    breaks: tuple[str, ...] = ()


_append = events.append
_tokens = itertools.count(1)


def _last_write_wins(connection: Connection, table: Any, staged: str, *rest: Any) -> Any:
    """Outcomes that say otherwise replace what was there."""
    if table.name == "outcomes":
        same = " and ".join(f"outcomes.{name} = s.{name}" for name in ("system", "event_id", "revision"))
        connection.execute(f"delete from outcomes using {staged} s where {same}")
    return _append(connection, table, staged, *rest)


def _granted(store: Store, name: str, actor: str, seconds: float = 300.0, holder: Any = None) -> Grant:
    """Whoever asks gets it."""
    return Grant(store.path, name, next(_tokens), seconds)


def _nothing(*_: Any, **__: Any) -> None:
    """Does nothing."""


PLANTS = {
    "dropped fsync": Plant(deaf=True, breaks=("6",)),
    "dropped fsync of folders": Plant(deaf_folders=True, breaks=("4", "6")),
    "last write wins": Plant({"quaestor.store.events.append": _last_write_wins}, breaks=("2",)),
    "no lease": Plant({
        "quaestor.store.lease.take": _granted,
        "quaestor.store.lease.release": _nothing,
        "quaestor.store.fencing.prove": _nothing,
    }, breaks=("5",)),
    "stale tokens pass": Plant({"quaestor.store.fencing.prove": _nothing}, breaks=("5",)),
    "the last promoter wins": Plant({"quaestor.registry.promotion._refuse_overtaken": _nothing}, breaks=("4",)),
}  # fmt: skip
