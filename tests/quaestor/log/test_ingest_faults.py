"""Ingest whose first, second, … n-th operation on the store fails, and a disk that is full in the middle of it."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from quaestor.errors import QuaestorError
from quaestor.log.ingest import ingest_file
from quaestor.settings import Settings
from quaestor.store import Store
from quaestor.store.migration import migrate
from tests.quaestor.events import decision, outcome, write
from tests.quaestor.log.test_ingest import dump

pytestmark = pytest.mark.slow


class _Failing:
    """A connection that fails at one of its statements, commits included."""

    def __init__(self, connection: Any, failing: int) -> None:
        self.connection, self.failing, self.done = connection, failing, 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.connection, name)
        return self._counted(found) if name in ("execute", "executemany", "sql", "commit", "register") else found

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self.done += 1
            if self.done == self.failing:
                raise duckdb.IOException("IO Error: Could not write file: No space left on device")
            return call(*arguments, **named)

        return counted


def _files(folder: Path) -> tuple[Path, Path]:
    """Decisions for which outcomes wait, with a bad row; and outcomes on time, early, late, twice, of nothing."""
    decisions = [decision(n) for n in range(12)] + [decision(12, propensity=0.0)]
    outcomes = [outcome(n) for n in range(0, 12, 2)] + [outcome(3, hours=-2), outcome(5, reward=2.0), outcome(99)]
    return write(folder, "d.parquet", decisions), write(folder, "o.parquet", [*outcomes, outcome(2)])


@pytest.mark.parametrize("kind", ["decisions", "outcomes"])
def test_whatever_operation_fails_ingest_is_whole_or_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    decisions, outcomes = _files(tmp_path)
    before = Store(tmp_path / "before.duckdb")
    ingest_file(before, *(("outcomes", outcomes) if kind == "decisions" else ("decisions", decisions)))
    path = decisions if kind == "decisions" else outcomes
    whole = Store(tmp_path / "whole.duckdb")
    shutil.copy(before.path, whole.path)
    ingest_file(whole, kind, path)
    old, new = dump(before), dump(whole)
    failures = 0
    for failing in range(1, 300):
        store = Store(tmp_path / f"{failing}.duckdb")
        shutil.copy(before.path, store.path)
        opened: list[_Failing] = []
        real = Store._open

        def opening(
            self: Store,
            read_only: bool,
            failing: int = failing,
            opened: list[_Failing] = opened,
            real: Callable[[Store, bool], Any] = real,
        ) -> Any:
            connection = real(self, read_only)
            if read_only:
                return connection
            migrate(connection)  # up to date already; what is counted is the ingest's own
            opened.append(_Failing(connection, failing))
            return opened[-1]

        with monkeypatch.context() as patched:
            patched.setattr(Store, "_open", opening)
            try:
                ingest_file(store, kind, path)
            except (QuaestorError, duckdb.Error):
                failures += 1
                assert dump(store) == old
            else:
                assert opened[-1].done < failing or dump(store) == new
        ingest_file(store, kind, path)
        assert dump(store) == new
        if opened[-1].done < failing:
            break
    assert failures > 5


@pytest.mark.parametrize(
    "refused",
    [
        "Permission denied",
        "Operation not permitted",
        "Read-only file system",
        "No space left on device",
        "Disk quota exceeded",
    ],
)
def test_a_store_that_may_not_be_written_is_not_called_damaged(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    path = write(tmp_path, "d.parquet", [decision(1)])
    ingest_file(settings.store, "decisions", path)
    before, real = dump(settings.store), duckdb.connect

    def connect(file: str, read_only: bool = False, **options: Any) -> Any:
        if not read_only:
            raise duckdb.IOException(f'IO Error: Cannot open file "{file}": {refused}')
        return real(file, read_only=read_only, **options)

    with monkeypatch.context() as patched:
        patched.setattr(duckdb, "connect", connect)
        with pytest.raises(QuaestorError, match=f"cannot be written: .*{refused}") as caught:
            ingest_file(settings.store, "decisions", write(tmp_path, "e.parquet", [decision(2)]))
        assert caught.value.exit_code == 1
        assert dump(settings.store) == before


def test_a_full_disk_is_said_and_nothing_is_lost(settings: Settings, tmp_path: Path) -> None:
    """For real: the process may write files of a few hundred kilobytes only."""
    small, large = (
        write(tmp_path, name, [decision(n) for n in range(first, last)])
        for name, first, last in (("small.parquet", 0, 50), ("large.parquet", 50, 60_000))
    )
    ingest_file(settings.store, "decisions", small)
    before = dump(settings.store)
    limit = settings.store.path.stat().st_size + 200_000
    command = [sys.executable, "-c", "from quaestor.cli import main; main()", "ingest", "decisions", str(large)]
    full = subprocess.run(
        command, env={**os.environ, "QUAESTOR_DATA": str(settings.data)}, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert full.returncode == 1, full.stderr
    assert "cannot be written" in full.stderr
    assert "Traceback" not in full.stderr
    assert dump(settings.store) == before
    assert ingest_file(settings.store, "decisions", large).added == 59_950
