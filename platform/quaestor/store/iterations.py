"""The rows of policy iterations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import duckdb
import polars as pl

from quaestor.errors import UsageError


@dataclass(frozen=True)
class Row:
    """One iteration as the store keeps it; folder is relative to the data directory."""

    iteration_id: str
    system: str
    parent_id: str | None
    policy: str
    manifest: str
    folder: str
    created_at: datetime


_COLUMNS = "iteration_id, system, parent_id, policy, manifest, folder, created_at"


def add(
    connection: duckdb.DuckDBPyConnection,
    iteration_id: str,
    system: str,
    parent_id: str | None,
    inputs_digest: str,
    policy: str,
    manifest: str,
    folder: str,
    created_at: datetime,
) -> bool:
    """Adds an iteration; returns False where it was there already, and leaves it as it is."""
    if exists(connection, iteration_id):
        return False
    connection.execute(
        "insert into iterations select ?, ?, ?, ?, ?, ?, ?, ?, coalesce(max(entry), 0) + 1 from iterations",
        [iteration_id, system, parent_id, inputs_digest, policy, manifest, folder, created_at],
    )
    return True


def exists(connection: duckdb.DuckDBPyConnection, iteration_id: str) -> bool:
    """Whether there is an iteration of exactly this id."""
    return connection.execute("select 1 from iterations where iteration_id = ?", [iteration_id]).fetchone() is not None


def by_inputs(connection: duckdb.DuckDBPyConnection, system: str, inputs_digest: str) -> Row | None:
    """The newest iteration of a system with these inputs."""
    found = connection.execute(
        f"select {_COLUMNS} from iterations where system = ? and inputs_digest = ? order by entry desc limit 1",
        [system, inputs_digest],
    ).fetchone()
    return Row(*found) if found else None


def by_prefix(connection: duckdb.DuckDBPyConnection, name: str) -> Row:
    """The iteration whose id starts with `name`; raises UsageError for none or several."""
    found = connection.execute(
        f"select {_COLUMNS} from iterations where starts_with(iteration_id, ?) limit 2", [name]
    ).fetchall()
    if len(found) != 1 or not name:
        what = "no iteration" if not found else "more than one iteration"
        raise UsageError(f"There is {what} whose id starts with {name!r}; `quaestor iterations` lists them.")
    return Row(*found[0])


def listing(connection: duckdb.DuckDBPyConnection, system: str | None = None) -> pl.DataFrame:
    """Every iteration, oldest first: iteration_id, system, parent_id, policy, manifest, folder, created_at."""
    return connection.execute(
        f"select {_COLUMNS} from iterations where ? is null or system = ? order by entry",
        [system, system],
    ).pl()
