"""What the first screen says."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from app.queries.iterations import Iteration, every
from app.queries.store import remembered
from quaestor.store import Connection, arrivals, audit, health
from quaestor.store.snapshot import snapshot

AUDIT_ENTRIES = 12


@dataclass(frozen=True)
class Overview:
    """The store at one moment. live: system, iteration_id, since. newest: system, part, newest_at, oldest first.
    entries: the latest audit entries, newest first. Times are UTC. snapshot: the digest of the state that was read."""

    iterations: tuple[Iteration, ...]
    live: pl.DataFrame
    newest: pl.DataFrame
    entries: pl.DataFrame
    quarantined: int
    snapshot: str


@remembered
def overview(connection: Connection) -> Overview:
    """Everything that the first screen says."""
    return Overview(
        iterations=every(connection),
        live=audit.pointers(connection),
        newest=arrivals.newest(connection),
        entries=audit.trail(connection).tail(AUDIT_ENTRIES).reverse(),
        quarantined=int(health.figures(connection)["rows"]["quarantine"]),
        snapshot=snapshot(connection),
    )
