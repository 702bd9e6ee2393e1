"""What is at work on the store now, and what the watch found: read anew each time, since neither adds to the record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from app.queries.store import reading
from quaestor.store import alarms, lease


@dataclass(frozen=True)
class AtWork:
    """runs: every run that holds a lease: name, token, actor, machine, process, taken_at, renewed_at, expires_at.
    alarms: those that stand: subject, system, about, status, sentence, first_at, seen_at, told. looked_at: when the
    watch last looked, None where it never did. Times are UTC."""

    runs: pl.DataFrame
    alarms: pl.DataFrame
    looked_at: datetime | None


def at_work() -> AtWork:
    """What is at work now."""
    with reading() as connection:
        return AtWork(
            runs=lease.listing(connection),
            alarms=alarms.standing(connection),
            looked_at=alarms.last_look(connection),
        )
