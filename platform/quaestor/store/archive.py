"""Every table of a store as parquet files, and a store made of them again: on the same engine or on the other."""

from __future__ import annotations

from pathlib import Path

import duckdb

from quaestor.errors import StoreDamagedError, UsageError
from quaestor.store.connection import Store
from quaestor.store.migration import applied_version, migrate, migrations

_SEEDED = ("lease_tokens", "looks", "key_hashing")
"""Tables with rows that say nothing of what was kept."""
_RUNS = ("leases",)
"""What belongs to runs that are under way, and not to what is kept."""


def write_tables(store: Store, folder: Path) -> tuple[int, dict[str, int]]:
    """Writes a parquet file a table into a folder, all of one committed state; returns the store's version and the rows
    of each table. Nobody has to stop: a lake is read beside its writers, writers of a file wait until this is done."""
    folder.mkdir(parents=True)
    with store.read() as connection:
        rows = {}
        for table in _tables(connection):
            path = str(folder / f"{table}.parquet").replace("'", "''")
            done = connection.execute(f"copy (from {table}) to '{path}' (format parquet, compression zstd)").fetchone()
            rows[table] = int(done[0]) if done else 0
        return applied_version(connection), rows


def read_tables(store: Store, folder: Path, version: int, rows: dict[str, int]) -> None:
    """Fills an empty store with the tables of a folder, all of them or none.

    Raises UsageError where the store holds anything, StoreDamagedError where the tables are of a later version than
    this code or not as many rows as were written.
    """
    if version > max(migrations()):
        raise StoreDamagedError(
            f"The backup is of version {version}, this Quaestor knows versions up to {max(migrations())}. Install the "
            "newer Quaestor."
        )
    with store.exclusive() as (connection, before_commit):
        _refuse_filled(connection)
        migrate(connection, version)
        unknown = set(rows) - set(_tables(connection))
        if unknown:
            raise StoreDamagedError(f"The backup has tables that version {version} has not: {', '.join(unknown)}.")
        connection.begin()
        try:
            for table, count in rows.items():
                path = str(folder / f"{table}.parquet").replace("'", "''")
                connection.execute(f"delete from {table}")
                connection.execute(f"insert into {table} by name from read_parquet('{path}')")
                found = connection.execute(f"select count(*) from {table}").fetchone()
                if found != (count,):
                    raise StoreDamagedError(f"{path} should hold {count:,} rows, found {found and found[0]:,}.")
            before_commit()
            connection.commit()
        except BaseException:
            connection.rollback()
            raise


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    found = connection.execute(
        "select table_name from duckdb_tables() where database_name = current_database() and schema_name = 'main' "
        "and not temporary order by table_name"
    ).fetchall()
    return [name for (name,) in found if name != "schema_version" and name not in _RUNS]


def _refuse_filled(connection: duckdb.DuckDBPyConnection) -> None:
    for table in _tables(connection):
        row = None if table in _SEEDED else connection.execute(f"select 1 from {table} limit 1").fetchone()
        if row is not None:
            raise UsageError(
                f"The store has {table} already; a backup is restored into an empty one. Name another data folder or "
                "store (QUAESTOR_DATA, QUAESTOR_STORE)."
            )
