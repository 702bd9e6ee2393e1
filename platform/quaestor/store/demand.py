"""Reads demand records back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb
import polars as pl

from quaestor.errors import UsageError


def period_dates(connection: duckdb.DuckDBPyConnection, systems: Sequence[str]) -> dict[str, list[datetime | None]]:
    """When each period of some systems' demand started, in the order of periods; None where no record says."""
    found: dict[str, list[datetime | None]] = {system: [] for system in systems}
    for system, starts_on in connection.execute(
        "select system, max(starts_on)::timestamp from demand where list_contains(?, system) group by system, period "
        "order by system, period",
        [list(systems)],
    ).fetchall():
        found[system].append(starts_on)
    return found


def records(connection: duckdb.DuckDBPyConnection, system: str) -> pl.DataFrame:
    """Demand records of a system: system, product, store, period, starts_on, units, stocked_out.

    Raises UsageError when there are none.
    """
    frame = connection.execute(
        "select system, product, store, period, starts_on, units, coalesce(stocked_out, false) as stocked_out "
        "from demand where system = ?",
        [system],
    ).pl()
    if frame.is_empty():
        raise UsageError(f"No demand of system {system!r} in the store; ingest a demand file first.")
    return frame
