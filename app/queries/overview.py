"""What the first screen says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from app.queries.certificates import Stale, stale_in
from app.queries.iterations import Iteration, every, newest_judged
from app.queries.store import remembered
from quaestor.store import Connection, arrivals, audit, health
from quaestor.store.snapshot import snapshot

AUDIT_ENTRIES = 12


@dataclass(frozen=True)
class Overview:
    """The store at one moment. live: system, iteration_id, since. newest: system, part, newest_at, oldest first.
    entries: the latest audit entries, newest first. Times are UTC. stale: what has changed of the data of the newest
    judged iteration of each system, by iteration id. snapshot: the digest of the state that was read."""

    iterations: tuple[Iteration, ...]
    live: pl.DataFrame
    newest: pl.DataFrame
    entries: pl.DataFrame
    quarantined: int
    stale: Mapping[str, Stale | None]
    snapshot: str


@remembered
def overview(connection: Connection) -> Overview:
    """Everything that the first screen says."""
    known = every(connection)
    of_systems = (
        newest_judged([each for each in known if each.report.system == name])
        for name in {each.report.system for each in known}
    )
    return Overview(
        iterations=known,
        live=audit.pointers(connection),
        newest=arrivals.newest(connection),
        entries=audit.trail(connection).tail(AUDIT_ENTRIES).reverse(),
        quarantined=int(health.figures(connection)["rows"]["quarantine"]),
        stale={each.iteration_id: stale_in(connection, each.report.system, each.iteration_id) for each in of_systems},
        snapshot=snapshot(connection),
    )
