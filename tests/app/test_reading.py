"""Each state of the store is read once, and no other is ever shown in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.queries.feedback import feedback
from app.queries.iterations import all_iterations
from app.queries.overview import overview
from app.queries.store import apart, reading, state, together
from quaestor.clock import utc_now
from quaestor.log.ingest import ingest_file
from quaestor.registry.judging import HEALTH, keep
from quaestor.registry.promotion import promote, reject, roll_back
from quaestor.settings import Settings
from quaestor.store import Connection, Store
from quaestor.store.snapshot import snapshot
from tests.app.filled import Filled
from tests.quaestor.events import outcome, write

Write = Callable[[Settings, Filled, Path], object]


def corrected(settings: Settings, filled: Filled, folder: Path) -> None:
    late = [outcome(5, system="cards", revision=1, reward=0.0, observed_at=utc_now().astimezone())]
    ingest_file(settings.store, "outcomes", write(folder, "corrected.parquet", late))


WRITES: dict[str, Write] = {
    "evidence": lambda settings, filled, _: keep(settings.store, filled.graph, HEALTH, {"alarms": ["It forgets."]}),
    "a promotion": lambda settings, filled, _: promote(settings.store, filled.graph, "tester", "agreed", override=True),
    "a rejection": lambda settings, filled, _: reject(settings.store, filled.second, "tester", "too dear"),
    "a roll-back": lambda settings, filled, _: roll_back(settings.store, "cards", "tester", "it does worse"),
    "a late correction": corrected,
}


@contextmanager
def openings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Notes each time that a store is opened for reading."""
    opened: list[Path] = []
    read = Store.read

    @contextmanager
    def noted(store: Store) -> Iterator[Connection]:
        opened.append(store.path)
        with read(store) as connection:
            yield connection

    with monkeypatch.context() as patched:
        patched.setattr(Store, "read", noted)
        yield opened


def test_whatever_is_written_is_seen_at_once(settings: Settings, filled: Filled, tmp_path: Path) -> None:
    moment = utc_now().isoformat()
    for name, written in WRITES.items():
        before = state()
        written(settings, filled, tmp_path)
        assert state() != before, name
        shown, arrived = overview(), feedback(moment)
        with settings.store.read() as connection:
            assert shown.snapshot == snapshot(connection), name
            assert all_iterations() == all_iterations.__wrapped__(connection), name  # type: ignore[attr-defined]
            direct = feedback.__wrapped__(connection, moment)  # type: ignore[attr-defined]
        assert arrived.days.equals(direct.days), name
        assert arrived.systems.equals(direct.systems), name


def test_a_file_that_nobody_wrote_is_not_opened_again(
    settings: Settings, filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    while settings.store.stamp() is None:  # it was copied just now
        pass
    first = overview()
    with openings(monkeypatch) as opened:
        assert overview() is first
        assert state() == first.snapshot
        assert opened == []
        keep(settings.store, filled.graph, HEALTH, {"alarms": ["It forgets."]})
        opened.clear()
        with together():
            assert overview() is not first
            assert len(all_iterations()) == len(first.iterations)
        assert len(opened) == 1, "one run of a screen opens it once"


def test_a_file_that_was_written_just_now_is_not_told_by_its_times(settings: Settings, filled: Filled) -> None:
    """A file system may give two writes the same time."""
    settings.store.path.touch()
    assert settings.store.stamp() is None


def test_a_run_that_reads_lets_its_own_process_write(settings: Settings, filled: Filled) -> None:
    with together(), reading() as connection:
        before = snapshot(connection)
        with apart():
            reject(settings.store, filled.second, "tester", "too dear")
        assert state() != before
