"""A store beyond one machine: DuckLake, with its tables as parquet under a folder or an object store and its catalog in
PostgreSQL.

DuckLake knows no keys, and two transactions that add the same row do not conflict (measured on 1.5.5: both enter). So
writers take turns by an advisory lock of the catalog's database; it ends with its connection, however a process ends.
Readers never wait: each transaction sees one snapshot.
"""

from __future__ import annotations

import importlib.util
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from quaestor.errors import QuaestorError, StoreBusyError, UsageError

PREFIX = "ducklake:postgres:"
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_LOCK = 0x5175616573746F72  # 'Quaestor'
_PUT_BACK = (
    "memory_limit", "preserve_insertion_order", "temp_directory", "threads", "write_buffer_row_group_count",
    "max_vacuum_tasks",
)  # fmt: skip
_DATA = re.compile(r"(?:^|\s)data_path=('[^']*'|\S+)")
_SECRET = re.compile(r"password=('[^']*'|\S+)")

_IDLE: dict[tuple[int, Lake], list[duckdb.DuckDBPyConnection]] = {}
_GUARD = threading.Lock()


@dataclass(frozen=True)
class Lake:
    """catalog: PostgreSQL's connection string; its password may as well come from PGPASSWORD or a password file.
    data: the folder or object-store prefix of the rows of a lake that is made here; named: whether the address said so,
    or any place that the catalog tells will do."""

    catalog: str
    data: str
    named: bool = False

    def __str__(self) -> str:
        return PREFIX + _SECRET.sub("password=…", self.catalog)


def parse(address: str, folder: Path) -> Lake:
    """A lake from `ducklake:postgres:dbname=… host=… [data_path=…]`; without a data_path its rows lie in `folder`.

    Raises UsageError for any other address.
    """
    if not address.startswith(PREFIX):
        raise UsageError(
            f"A store is a path that ends with .duckdb, or {PREFIX}dbname=… host=… [data_path=…]; found {address!r}."
        )
    catalog = address.removeprefix(PREFIX)
    named = _DATA.search(catalog)
    data = named.group(1).strip("'") if named else str(folder)
    data = data if "://" in data else str(Path(data).absolute())
    return Lake(_DATA.sub("", catalog).strip(), data.rstrip("/") + "/", named is not None)


@contextmanager
def reading(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the lake; the caller begins and ends transactions."""
    with _instance(lake) as instance, _cursor(instance) as connection:
        yield connection


@contextmanager
def writing(lake: Lake, patience: float) -> Iterator[tuple[duckdb.DuckDBPyConnection, Callable[[], None]]]:
    """A connection to the lake while nobody else writes to it, and a function to call right before committing.

    Raises StoreBusyError when another holds it for longer than `patience` seconds, and from the function when the turn
    was lost, as when the catalog was restarted meanwhile.
    """
    with _instance(lake) as instance, _cursor(instance) as connection, _cursor(instance) as holder:
        holder.begin()
        try:
            _ask(holder, f"set local lock_timeout = {max(1, round(1000 * patience))}", rows=False)
            _ask(holder, f"select pg_advisory_xact_lock({_LOCK})::text as held")
        except duckdb.Error as error:
            if "lock timeout" not in str(error):
                raise
            raise StoreBusyError(
                f"Another writer has held the store {lake} for {patience:g} s. Try again when it is done."
            ) from None

        def still_ours() -> None:
            held = "select count(*) as held from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
            try:
                (count,) = _ask(holder, held)[0]
            except duckdb.Error:
                count = 0
            if not count:
                raise StoreBusyError(f"The turn to write to {lake} was lost; nothing was written. Run it again.")

        try:
            yield connection, still_ours
        finally:
            _roll_back(holder)


def _ask(holder: duckdb.DuckDBPyConnection, query: str, rows: bool = True) -> list[tuple[int]]:
    """Runs a query of PostgreSQL in the transaction that keeps the turn."""
    text = query.replace("'", "''")
    if not rows:
        return holder.execute(f"call postgres_execute('turns', '{text}')").fetchall()
    return holder.execute(f"select * from postgres_query('turns', '{text}')").fetchall()


@contextmanager
def _cursor(instance: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    cursor = instance.cursor()
    try:
        cursor.execute("use store")
        cursor.execute("set enable_progress_bar = false")
        yield cursor
    finally:
        cursor.close()


_LOST = ("server closed the connection", "terminating connection", "connection to server", "no connection to")
"""How DuckDB says that PostgreSQL is gone."""


@contextmanager
def _instance(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with the lake attached, for one transaction; attaching takes longer than most of them, so it is kept.
    One that saw an error is not used again."""
    key = (os.getpid(), lake)
    with _GUARD:
        idle = _IDLE.setdefault(key, [])
        instance = idle.pop() if idle else None
    if instance is None or not _alive(instance):
        instance = _attach(lake)
    try:
        yield instance
    except BaseException as error:
        instance.close()
        if isinstance(error, duckdb.Error) and any(sign in str(error).lower() for sign in _LOST):
            raise StoreBusyError(
                f"The database of {lake} went away in the middle of a transaction. Run it again once it answers: what "
                "was written is found."
            ) from None
        raise
    for setting in _PUT_BACK:
        instance.execute(f"reset {setting}")
    with _GUARD:
        idle.append(instance)


def _alive(instance: duckdb.DuckDBPyConnection) -> bool:
    try:
        instance.execute("select * from postgres_query('turns', 'select 1 as one')").fetchall()
        instance.execute("select count(*) from store.snapshots()").fetchall()
    except duckdb.Error:
        return False
    return True


def _attach(lake: Lake) -> duckdb.DuckDBPyConnection:
    instance = duckdb.connect(config=CONFIG)
    for name in ("ducklake", "postgres_scanner", *(["httpfs"] if "://" in lake.data else [])):
        instance.execute(f"load '{_extension(name)}'")
    catalog, data = (text.replace("'", "''") for text in (lake.catalog, lake.data))
    attach = f"attach 'ducklake:postgres:{catalog}' as store"
    try:
        try:
            path = f", data_path '{data}'" if lake.named else ""
            instance.execute(f"{attach} (create_if_not_exists false{path})")
        except duckdb.InvalidInputException as error:
            if "creating a new DuckLake is explicitly disabled" not in str(error):
                raise
            if "://" not in lake.data:
                Path(lake.data).mkdir(parents=True, exist_ok=True)
            instance.execute(f"{attach} (data_path '{data}')")
        instance.execute(f"attach '{catalog}' as turns (type postgres)")
    except duckdb.Error as error:
        cause = str(error).replace(lake.catalog, str(lake).removeprefix(PREFIX)).strip().splitlines()
        raise QuaestorError(f"The store {lake} cannot be reached: {' '.join(cause)[:400]}") from None
    return instance


def _extension(name: str) -> Path:
    """The file of a DuckDB extension that came as a package: loaded where it lies, nothing is fetched or copied."""
    found = importlib.util.find_spec(f"duckdb_extension_{name}")
    for folder in found.submodule_search_locations or () if found else ():
        path = Path(folder) / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        if path.exists():
            return path
    raise QuaestorError(
        f"A store on DuckLake needs DuckDB's extension {name} for {duckdb.__version__}: pip install "
        f"'quaestor[scale]' duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}."
    )


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.rollback()
    except duckdb.Error:  # its connection is gone, and the turn with it
        return
