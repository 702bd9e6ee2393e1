"""What the first screen says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from app.queries.iterations import Iteration, every
from app.queries.store import reading
from quaestor.clock import utc_now
from quaestor.store import arrivals, audit, health

AUDIT_ENTRIES = 12


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


def overview() -> Overview:
    """Everything that the first screen says."""
    with reading() as connection:
        return Overview(
            iterations=every(connection),
            live=audit.pointers(connection),
            newest=arrivals.newest(connection),
            entries=audit.trail(connection).tail(AUDIT_ENTRIES).reverse(),
            quarantined=int(health.figures(connection)["rows"]["quarantine"]),
            read_at=utc_now(),
        )
