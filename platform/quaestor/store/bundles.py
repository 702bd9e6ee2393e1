"""The bundles that were exported."""

from __future__ import annotations

from datetime import datetime

import duckdb
import polars as pl


def add(
    connection: duckdb.DuckDBPyConnection, digest: str, iteration_id: str, folder: str, created_at: datetime
) -> bool:
    """Notes a bundle; returns False where it was noted already."""
    if connection.execute("select 1 from bundles where bundle_digest = ?", [digest]).fetchone():
        return False
    connection.execute("insert into bundles values (?, ?, ?, ?)", [digest, iteration_id, folder, created_at])
    return True


def listing(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Every bundle, oldest first: bundle_digest, iteration_id, folder, created_at."""
    return connection.execute("select * from bundles order by created_at, bundle_digest").pl()


def move(connection: duckdb.DuckDBPyConnection, before: str, now: str) -> None:
    """Tells where bundles are that lay in a folder which is another now."""
    connection.execute(
        "update bundles set folder = ? || substr(folder, ?) where starts_with(folder, ?)",
        [now, len(before) + 1, before.rstrip("/") + "/"],
    )
