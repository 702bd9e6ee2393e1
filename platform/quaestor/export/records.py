"""Keeps decision records: first in a journal that survives a crash, then in parquet files that ingest takes.

Records wait in memory for at most the flush interval, after which they are on disk (fdatasync). A journal is sealed
into parquet when it is old or long enough, on closing, or by the next process that finds it abandoned; the name of
the parquet file follows from the journal's, so that sealing twice changes nothing.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from quaestor.clock import utc_now
from quaestor.errors import QuaestorError
from quaestor.export.sealing import KINDS, Kind, seal
from quaestor.export.single import Draw
from quaestor.export.single_orders import Noise

JOURNALS = "journals"

_Shape = tuple[Kind, tuple[str, ...]]
"""Of a record: its kind and its columns. Each has a journal of its own, for a new policy may read other features."""


@dataclass(frozen=True)
class RecordParams:
    """flush_seconds: how long a record may be lost to a crash. A journal is sealed after seal_seconds or
    seal_rows. most_waiting: records held in memory while the disk takes none; beyond it they are refused."""

    flush_seconds: float = 0.5
    seal_seconds: float = 60.0
    seal_rows: int = 50_000
    most_waiting: int = 200_000

    def __post_init__(self) -> None:
        if not 0 < self.flush_seconds <= self.seal_seconds or min(self.seal_rows, self.most_waiting) < 1:
            raise ValueError(
                "flush_seconds must be above 0 and at most seal_seconds, seal_rows and most_waiting 1 or more."
            )


class RecordsFullError(QuaestorError):
    """The disk has taken nothing for so long that no further record can be held."""


class Records:
    """Writes records under a folder: one folder a kind for sealed files, journals/ for the rest.

    Any thread may append; one thread of its own writes. Several processes may share the folder.
    """

    def __init__(self, folder: Path, params: RecordParams | None = None, clock: Callable[[], float] = time.monotonic):
        self.folder, self.params = folder, params or RecordParams()
        self.problem: str | None = None
        self.written = 0
        self._clock = clock
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._waiting: list[tuple[_Shape, str]] = []
        self._journals: dict[_Shape, _Journal] = {}
        try:
            for name in (JOURNALS, *KINDS):
                (folder / name).mkdir(parents=True, exist_ok=True)
            self.recovered = self._recover()
        except OSError as error:
            raise QuaestorError(f"Records cannot be written to {folder}: {error.strerror}.") from None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="quaestor records", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Records that are not on disk yet."""
        return len(self._waiting)

    def append(self, kind: Kind, record: Mapping[str, Any], line: str | None = None) -> None:
        """Keeps one record of plain values and times; raises RecordsFullError when too many wait already.

        line: the record as `as_json` gives it, its columns in any order, where the caller has it already.
        """
        shape = (kind, tuple(record))
        line = line or as_json(record)
        with self._lock:
            if len(self._waiting) >= self.params.most_waiting:
                raise RecordsFullError(
                    f"{len(self._waiting):,} records wait for the disk. {self.problem or ''}".strip()
                )
            self._waiting.append((shape, line))

    def decision(self, record: Mapping[str, Any], draw: Draw, line: str | None = None) -> None:
        """Keeps a decision, as JSON in `line` where it is there already, and beside it the chance behind it."""
        self.append("decisions", record, line)
        of = {name: record[name] for name in ("system", "event_id", "iteration_id")}
        self.append("draws", {**of, "seed": draw.seed, "noise": draw.noise})

    def orders(self, record: Mapping[str, Any], noise: Noise) -> None:
        """Keeps the orders of a product and period, and beside them the chance behind them."""
        self.append("orders", record)
        of = {name: record[name] for name in ("system", "product", "period", "iteration_id")}
        self.append("draws", {**of, **{name: array.tolist() for name, array in noise.items()}})

    def flush(self) -> None:
        """Brings everything that waits to disk; what the disk refuses goes on waiting and `problem` says why."""
        with self._writing:
            with self._lock:
                taken, self._waiting = self._waiting, []
            try:
                while taken:
                    shape = taken[0][0]
                    lines = [line for of, line in taken if of == shape]
                    self._journal(shape).write(lines)
                    self.written += len(lines)
                    taken = [entry for entry in taken if entry[0] != shape]
                self._say(None)
            except OSError as error:
                with self._lock:
                    self._waiting[:0] = taken
                self._say(f"Records cannot be written to {self.folder}: {error.strerror}; they wait in memory.")

    def seal(self) -> list[Path]:
        """Turns every open journal into a parquet file; returns the new files."""
        with self._writing:
            sealed = []
            for shape, journal in list(self._journals.items()):
                sealed += self._sealed(shape, journal)
            return sealed

    def close(self) -> None:
        """Flushes, seals and stops."""
        self._closing.set()
        self._thread.join()
        self.flush()
        self.seal()

    def _run(self) -> None:
        while not self._closing.wait(self.params.flush_seconds):
            self.flush()
            with self._writing:
                for shape, journal in list(self._journals.items()):
                    age = self._clock() - journal.since
                    if journal.rows >= self.params.seal_rows or age >= self.params.seal_seconds:
                        self._sealed(shape, journal)

    def _journal(self, shape: _Shape) -> _Journal:
        if shape not in self._journals:
            name = f"{shape[0]}-{utc_now():%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
            self._journals[shape] = _Journal(self.folder / JOURNALS / f"{name}.jsonl", self._clock())
        return self._journals[shape]

    def _sealed(self, shape: _Shape, journal: _Journal) -> list[Path]:
        try:
            path = seal(journal.path, self.folder)
        except (OSError, QuaestorError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self._say(f"A journal cannot be sealed in {self.folder}: {reason}; it stays as it is.")
            journal.since = self._clock()  # tried again after another interval
            return []
        del self._journals[shape]
        journal.close()
        return [path] if path is not None else []

    def _recover(self) -> list[Path]:
        """Seals the journals of processes that are gone; a living one holds a lock on its own."""
        sealed = []
        for path in sorted((self.folder / JOURNALS).glob("*.jsonl")):
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    continue
                found = seal(path, self.folder)
                sealed += [found] if found is not None else []
        return sealed

    def _say(self, problem: str | None) -> None:
        if problem and problem != self.problem:
            logging.getLogger("quaestor").error(problem)
        self.problem = problem


class _Journal:
    """A file of lines that is only appended to, and locked while its process lives."""

    def __init__(self, path: Path, since: float) -> None:
        self.path, self.since, self.rows = path, since, 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._size = 0

    def write(self, lines: list[str]) -> None:
        """Appends lines and waits until they are on disk; after a failure the file ends where it ended before."""
        content = memoryview(("\n".join(lines) + "\n").encode())
        try:
            done = 0
            while done < len(content):
                done += os.write(self._file, content[done:])
            os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(content)
        self.rows += len(lines)

    def close(self) -> None:
        """Lets go of the file."""
        os.close(self._file)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    raise TypeError(f"a record holds a {type(value).__name__}")


as_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_text).encode
