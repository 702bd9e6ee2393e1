"""Reads demand records back."""

from __future__ import annotations

import duckdb
import polars as pl

from quaestor.errors import UsageError


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
