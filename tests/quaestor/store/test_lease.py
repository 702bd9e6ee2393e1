"""One run at a time: who holds a lease writes, who lost it does not, whatever the clocks say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from quaestor.clock import told_by
from quaestor.errors import LeaseHeldError, LeaseLostError
from quaestor.settings import Settings
from quaestor.store import Store, lease, networks
from quaestor.store.fencing import Grant, carrying, prove
from quaestor.store.holder import Holder
from quaestor.store.lease import SECONDS, held, release, renew, take
from quaestor.store.migration import migrate

NOON = datetime(2026, 5, 1, 12)
ELSEWHERE = Holder("another machine", 7, "1")


@contextmanager
def at(minutes: float = 0, years: float = 0) -> Iterator[None]:
    """The clock says so many minutes and years after noon."""
    with told_by(lambda: NOON + timedelta(minutes=minutes, days=365 * years)):
        yield


def _write(store: Store, name: str, grant: Grant | None = None) -> None:
    """A write of the product's, under a lease where one is given."""
    if grant is None:
        with store.write() as connection:
            networks.add(connection, name, name, "{}")
    else:
        with carrying(grant):
            _write(store, name)


def _written(store: Store) -> set[str]:
    with store.read() as connection:
        return {name for (name,) in connection.execute("select name from networks").fetchall()}


def test_who_comes_second_is_told_who_and_since_when(settings: Settings) -> None:
    with at():
        take(settings.store, "policies of shop", "ann", holder=ELSEWHERE)
    with at(minutes=2), pytest.raises(LeaseHeldError, match=r"ann \(process 7 on another\) since 2026-05-01 12:00:00"):
        take(settings.store, "policies of shop", "bob")
    with at(minutes=2):
        take(settings.store, "policies of another shop", "bob")


@pytest.mark.parametrize("taken_over", [True, False])
def test_a_worker_that_was_frozen_ten_minutes_writes_nothing(settings: Settings, taken_over: bool) -> None:
    store = settings.store
    with at():
        grant = take(store, "policies of shop", "ann", holder=ELSEWHERE)
        _write(store, "in time", grant)
    with at(minutes=10):
        if taken_over:
            again = take(store, "policies of shop", "bob")
            assert again.took_over is not None
            assert "ann" in again.took_over
            _write(store, "by the other", again)
        with pytest.raises(LeaseLostError, match="bob took over" if taken_over else "ran out at 2026-05-01 12:05:00"):
            _write(store, "too late", grant)
        with pytest.raises(LeaseLostError):
            renew(store, grant)
        release(store, grant)  # what is another's stays theirs
        if taken_over:
            _write(store, "still the other's", again)
    assert "too late" not in _written(store)


@pytest.mark.slow
def test_each_write_and_each_beat_lets_a_lease_hold_on(settings: Settings) -> None:
    with at():
        grant = take(settings.store, "policies of shop", "ann", holder=ELSEWHERE)
    for minutes in (4, 8, 12):
        with at(minutes):
            renew(settings.store, grant) if minutes == 8 else _write(settings.store, str(minutes), grant)
    with at(minutes=16), pytest.raises(LeaseHeldError):
        take(settings.store, "policies of shop", "bob")


@pytest.mark.slow
@pytest.mark.parametrize("years", [-1, 10])
def test_a_lease_is_renewed_by_the_clock_of_its_run(
    settings: Settings, years: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, beats = settings.store, threading.Semaphore(0)

    def counted(*lease_of: Any) -> None:
        renew(*lease_of)
        beats.release()

    monkeypatch.setattr(lease, "renew", counted)
    with at(years=years), held(store, "policies of shop", "ann", seconds=0.5):
        for _ in range(2):
            assert beats.acquire(timeout=60)
        _write(store, "after two beats")
    assert _written(store) == {"after two beats"}


def test_tokens_grow_and_are_never_given_twice(settings: Settings) -> None:
    tokens = []
    for number in range(4):
        with at(minutes=-60 * number):  # a clock that goes backwards
            grant = take(settings.store, "policies of shop", "ann", holder=ELSEWHERE)
            tokens.append(grant.token)
            release(settings.store, grant)
            with pytest.raises(LeaseLostError, match="given back"):
                _write(settings.store, "after it was given back", grant)
    assert tokens == sorted(set(tokens))


def test_a_lease_from_the_future_blocks_nobody_for_years(settings: Settings) -> None:
    with at(years=10):
        grant = take(settings.store, "policies of shop", "ann", holder=ELSEWHERE)
    with at():
        assert "ahead" in str(take(settings.store, "policies of shop", "bob").took_over)
        with pytest.raises(LeaseLostError):
            _write(settings.store, "by a clock that was ahead", grant)


def test_a_clock_that_is_set_back_a_little_takes_nothing_away(settings: Settings) -> None:
    with at():
        grant = take(settings.store, "policies of shop", "ann", holder=ELSEWHERE)
    with at(minutes=-3):
        _write(settings.store, "before noon", grant)
        with pytest.raises(LeaseHeldError):
            take(settings.store, "policies of shop", "bob")


def test_a_lease_taken_inside_itself_is_the_same(settings: Settings) -> None:
    with held(settings.store, "x", "ann") as outer, held(settings.store, "x", "ann") as inner:
        assert inner is outer
        _write(settings.store, "inside")
    with settings.store.read() as connection:
        assert lease.listing(connection).is_empty()


@pytest.mark.slow
def test_a_lease_is_given_back_when_its_run_fails(settings: Settings) -> None:
    with pytest.raises(ZeroDivisionError), held(settings.store, "x", "ann"):
        raise ZeroDivisionError
    take(settings.store, "x", "bob")


def test_a_lease_binds_the_writes_of_its_own_store_only(settings: Settings, tmp_path: Path) -> None:
    other = Store(tmp_path / "other.duckdb")
    with at():
        grant = take(settings.store, "x", "ann", holder=ELSEWHERE)
    with at(minutes=10), carrying(grant):
        _write(other, "elsewhere")
        with pytest.raises(LeaseLostError):
            _write(settings.store, "here")


@pytest.mark.parametrize("first", ["the writer commits first", "the taker commits first"])
def test_where_transactions_overlap_a_stale_write_and_a_takeover_cannot_both_commit(tmp_path: Path, first: str) -> None:
    """On an engine with snapshots, such as a lakehouse with a catalog: both touch one row, and the later one fails."""
    database = duckdb.connect(str(tmp_path / "x.duckdb"))
    migrate(database)
    writer, taker = database.cursor(), database.cursor()
    store = _Snapshots(tmp_path, writer)
    with at():
        grant = take(store, "x", "ann", holder=ELSEWHERE)  # type: ignore[arg-type]
    with at(minutes=4.9):
        writer.begin()
        prove(writer, grant)
        writer.execute("insert into networks values ('w', 'w', '{}', now()::timestamp)")
        _begin(taker)
    with at(minutes=10):
        overlapping = _Snapshots(tmp_path, taker, inside=True)
        if first == "the writer commits first":
            writer.commit()
        with pytest.raises(duckdb.TransactionException, match=r"(?i)conflict"):
            take(overlapping, "x", "bob")  # type: ignore[arg-type]


def _begin(connection: duckdb.DuckDBPyConnection) -> None:
    """Begins a transaction and takes its snapshot."""
    connection.begin()
    connection.execute("select * from leases, lease_tokens").fetchall()


class _Snapshots:
    """A store of one connection of a shared database; inside: its transaction was begun before."""

    def __init__(self, folder: Path, connection: duckdb.DuckDBPyConnection, inside: bool = False) -> None:
        self.path, self._connection, self._inside = folder / "x.duckdb", connection, inside

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction."""
        if not self._inside:
            self._connection.begin()
        yield self._connection
        self._connection.commit()


def test_two_takers_whose_transactions_overlap(tmp_path: Path) -> None:
    database = duckdb.connect(str(tmp_path / "x.duckdb"))
    migrate(database)
    one, two = database.cursor(), database.cursor()
    _begin(one)
    _begin(two)
    with at():
        take(_Snapshots(tmp_path, one, inside=True), "x", "ann")  # type: ignore[arg-type]
        with pytest.raises(duckdb.TransactionException, match=r"(?i)conflict"):
            take(_Snapshots(tmp_path, two, inside=True), "x", "bob")  # type: ignore[arg-type]


_HOLDER = """
import sys, time
from pathlib import Path
from quaestor.errors import LeaseLostError
from quaestor.store import Store, lease, networks
store = Store(Path(sys.argv[1]))
with lease.held(store, "x", "the child", seconds=float(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.readline()
    try:
        with store.write() as connection:
            networks.add(connection, "late", "late", "{}")
        print("wrote", flush=True)
    except LeaseLostError as error:
        print(error, flush=True)
"""


@contextmanager
def _child(store: Store, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lease x and writes when a line comes."""
    pipe = subprocess.PIPE
    child = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(store.path), str(seconds)], stdin=pipe, stdout=pipe, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child
    finally:
        child.kill()
        child.communicate()


@pytest.mark.slow
def test_the_lease_of_a_killed_process_is_free_at_once(settings: Settings) -> None:
    with _child(settings.store, SECONDS) as child:
        with pytest.raises(LeaseHeldError, match=f"the child \\(process {child.pid}"):
            take(settings.store, "x", "ann")
        child.kill()
        deadline = time.monotonic() + 10
        while not Holder(Holder.me().machine, child.pid, "any other").is_gone() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "is gone" in str(take(settings.store, "x", "ann").took_over)


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [True, False])
def test_a_process_that_sleeps_through_its_lease_is_refused_when_it_wakes(settings: Settings, frozen: bool) -> None:
    with _child(settings.store, 1.0) as child:
        if frozen:
            os.kill(child.pid, signal.SIGSTOP)
        time.sleep(2.5)
        if frozen:
            take(settings.store, "x", "ann")
            os.kill(child.pid, signal.SIGCONT)
        else:  # its thread has renewed it
            with pytest.raises(LeaseHeldError):
                take(settings.store, "x", "ann")
        said, _ = child.communicate("write\n", timeout=20)
    assert ("ann took over" in said) if frozen else (said == "wrote\n")
    assert ("late" in _written(settings.store)) is not frozen
