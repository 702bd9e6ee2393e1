"""What is at work on the store now: read anew each time, since runs come and go without leaving a mark."""

from __future__ import annotations

import polars as pl

from app.queries.store import reading
from quaestor.store import lease


def runs() -> pl.DataFrame:
    """Every run that holds a lease: name, token, actor, machine, process, taken_at, renewed_at, expires_at (UTC)."""
    with reading() as connection:
        return lease.listing(connection)
