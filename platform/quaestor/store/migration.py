"""Brings a store to this version by numbered SQL files, each applied once."""

from __future__ import annotations

from importlib.resources import files

import duckdb

from quaestor.clock import utc_now
from quaestor.errors import StoreDamagedError


def migrate(connection: duckdb.DuckDBPyConnection, up_to: int | None = None) -> None:
    """Applies the migrations that the store lacks, all in one transaction; those up to a number, if given.

    Raises StoreDamagedError when the store is of a later version than this code.
    """
    done = applied_version(connection)
    scripts = migrations()
    latest = max(scripts)
    if done > latest:
        raise StoreDamagedError(
            f"The store is of version {done}, this Quaestor knows versions up to {latest}. Install the newer Quaestor."
        )
    missing = sorted(number for number in scripts if done < number <= (up_to or latest))
    if not missing:
        return
    connection.begin()
    connection.execute(
        "create table if not exists schema_version (version integer not null, applied_at timestamp not null)"
    )
    for version in missing:
        connection.execute(scripts[version])
        connection.execute("insert into schema_version values (?, ?)", [version, utc_now()])
    connection.commit()


def migrations() -> dict[int, str]:
    """The SQL of each migration by its number."""
    folder = files("quaestor.store") / "migrations"
    return {
        int(entry.name.split("_")[0]): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    }


def applied_version(connection: duckdb.DuckDBPyConnection) -> int:
    """The number of the last migration applied; 0 for a file that is not a store yet."""
    tables = connection.execute(
        "select 1 from duckdb_tables() where table_name = 'schema_version' and database_name = current_database()"
    ).fetchone()
    if tables is None:
        return 0
    row = connection.execute("select coalesce(max(version), 0) from schema_version").fetchone()
    return int(row[0]) if row else 0
