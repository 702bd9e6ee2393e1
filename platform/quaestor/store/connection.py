"""Opens the store for one transaction at a time, and waits while another process has it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import tenacity

from quaestor.errors import QuaestorError, StoreBusyError, StoreDamagedError
from quaestor.store import fencing, lake
from quaestor.store.append import ensure_key_hashes
from quaestor.store.lake import Lake
from quaestor.store.migration import applied_version, migrate, migrations

Connection = duckdb.DuckDBPyConnection

_WRITERS: dict[Path, threading.Lock] = {}

# DuckDB lets one process write and then nobody else read, so every wait here is for a short transaction.
_LOCKED = (
    "could not set lock",
    "different configuration",
    "conflicting lock",
    "being used by another process",
)
_REFUSED = (
    "could not write file", "permission denied", "operation not permitted", "read-only file system", "no space left",
    "disk quota exceeded", "input/output error",
)  # fmt: skip
"""What a disk says that takes nothing, while the file may be as good as ever."""
FORMAT = "v1.5.0"
"""Of new files: older formats take half as long again to write."""
JUST_NOW = 0.1
"""Seconds within which a file system may give two writes the same time."""
_CONFIG = lake.CONFIG | {"storage_compatibility_version": FORMAT}


@dataclass(frozen=True)
class Store:
    """A DuckDB file or a lake. path: the file, or the folder that stands for the lake on this machine. `patience` is
    how many seconds to wait for another process before giving up."""

    path: Path
    patience: float = 30.0
    lake: Lake | None = None

    def exists(self) -> bool:
        """Whether anything was ever kept here."""
        if self.lake is None:
            return self.path.exists()
        with lake.reading(self.lake) as connection:
            return applied_version(connection) > 0

    def stamp(self) -> str | None:
        """What differs once anything was written, told without opening the store; None where that cannot be told: of a
        lake, of a store that is not there, and of one that was written just now."""
        if self.lake is not None or not self.path.exists():
            return None
        found = [_touched(path) for path in (self.path, self.path.with_name(f"{self.path.name}.wal"))]
        newest = max(touched for _, _, touched in found)
        return None if time.time_ns() - newest < JUST_NOW * 1e9 else repr(found)

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection inside one transaction: committed at the end, rolled back on any error.

        Every lease under which this is called is proved first. Raises StoreBusyError when another process holds the
        store longer than `patience`, StoreDamagedError when the file is not a store of this version, LeaseLostError
        when a lease is not held any more.
        """
        with self.exclusive() as (connection, before_commit):
            migrate(connection)
            connection.begin()
            try:
                fencing.prove_carried(connection, self.path)
                ensure_key_hashes(connection)
                yield connection
                before_commit()
                connection.commit()
            except BaseException as error:
                _roll_back(connection)
                if isinstance(error, duckdb.Error) and _is_refused(error):
                    raise self._unwritable(error) from None
                raise

    @contextmanager
    def read(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for reading; it sees one committed state. Creates an empty store where there is none.

        Raises StoreBusyError and StoreDamagedError as `write` does.
        """
        if self.lake is not None:
            with self._reader(self.lake) as connection:
                yield connection
            return
        if not self.path.exists():
            self._prepare()
        connection = self._open(read_only=True)
        try:
            if applied_version(connection) != max(migrations()):
                connection.close()
                self._prepare()
                connection = self._open(read_only=True)
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _reader(self, of: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
        with lake.reading(of) as connection:
            if applied_version(connection) != max(migrations()):
                self._prepare()
            connection.begin()
            try:
                yield connection
            finally:
                _roll_back(connection)

    @contextmanager
    def exclusive(self) -> Iterator[tuple[duckdb.DuckDBPyConnection, Callable[[], None]]]:
        """A connection that nobody else writes beside, outside any transaction and whatever the store's version, and
        what to call right before committing. For what `write` cannot do."""
        if self.lake is not None:
            with lake.writing(self.lake, self.patience) as taken:
                yield taken
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._alone(), closing(self._open(read_only=False)) as connection:
            yield connection, lambda: None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One writer a process: DuckDB's file lock keeps other processes out, but not our own threads."""
        writer = _WRITERS.setdefault(self.path.absolute(), threading.Lock())
        if not writer.acquire(timeout=self.patience):
            raise self._busy()
        try:
            yield
        finally:
            writer.release()

    def _busy(self) -> StoreBusyError:
        return StoreBusyError(
            f"Another writer has held the store {self.path} for {self.patience:g} s. Try again when it is done."
        )

    def _unwritable(self, error: duckdb.Error) -> QuaestorError:
        return QuaestorError(
            f"{self.path} cannot be written: {_first_line(error)} Nothing was changed; make room or give this user the "
            "right to write there, then run it again."
        )

    def _prepare(self) -> None:
        with self.write():
            pass

    def _open(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_locked),
            wait=tenacity.wait_random_exponential(multiplier=0.02, max=0.5),
            stop=tenacity.stop_after_delay(self.patience),
            reraise=True,
        )
        try:
            connection = retrying(duckdb.connect, str(self.path), read_only=read_only, config=_CONFIG)
            connection.execute("set enable_progress_bar = false")
            return connection
        except duckdb.Error as error:
            if _is_locked(error):
                raise self._busy() from None
            if _is_refused(error):
                raise self._unwritable(error) from None
            raise StoreDamagedError(
                f"{self.path} cannot be opened as a store: {_first_line(error)} "
                "Restore it from a backup or move it away."
            ) from None


def _touched(path: Path) -> tuple[int, int, int]:
    """Which file it is, its size, and when it was written (nanoseconds); zeros where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0, 0
    return found.st_ino, found.st_size, found.st_mtime_ns


def _is_locked(error: BaseException) -> bool:
    return isinstance(error, duckdb.Error) and any(sign in str(error).lower() for sign in _LOCKED)


def _is_refused(error: duckdb.Error) -> bool:
    return any(sign in str(error).lower() for sign in _REFUSED)


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.rollback()
    except duckdb.Error:  # the transaction never began, or ended by itself
        return


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0].rstrip(". ") + "."
