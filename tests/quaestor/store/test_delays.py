"""Delays and pending rounds as ingest counts them, against the events themselves; decisions found by their id."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from quaestor.errors import UsageError
from quaestor.log.ingest import ingest_file
from quaestor.settings import Settings
from quaestor.store import delays, rounds
from tests.quaestor.events import START, decision, outcome, write

ROUNDS, WINDOW = 240, 48.0
NOW = START + timedelta(hours=100)


@pytest.fixture
def waits(settings: Settings, tmp_path: Path) -> list[float | None]:
    """Hours from each decision to its outcome, None where there is none; a decision every half hour until NOW."""
    draw = np.random.default_rng(3)
    made = [NOW - timedelta(minutes=30 * (ROUNDS - number)) for number in range(ROUNDS)]
    hours = [float(draw.exponential(10)) if draw.random() < 0.8 else None for _ in range(ROUNDS)]
    known = [h if h is not None and at + timedelta(hours=h) <= NOW else None for h, at in zip(hours, made, strict=True)]
    decisions = [decision(n, decided_at=at) for n, at in enumerate(made)]
    answers = [
        outcome(n, observed_at=at + timedelta(hours=h))
        for n, (at, h) in enumerate(zip(made, known, strict=True))
        if h is not None
    ]
    ingest_file(settings.store, "decisions", write(tmp_path, "d.parquet", decisions))
    ingest_file(settings.store, "outcomes", write(tmp_path, "o.parquet", answers))
    return known


def test_the_curve_counts_closed_rounds_by_the_hours_their_outcomes_took(
    settings: Settings, waits: list[float | None]
) -> None:
    as_of = NOW.replace(tzinfo=None)
    with settings.store.read() as connection:
        curve = delays.delay_curve(connection, "shop", WINDOW, as_of)
    closed = [wait for n, wait in enumerate(waits) if 30 * (ROUNDS - n) / 60 > WINDOW]
    assert curve["rounds"][0] == len(closed), "whole hours that have closed"
    assert curve["answered"].is_sorted()
    for hours, answered in curve.select("hours", "answered").iter_rows():
        if hours >= 1 and hours == int(hours):  # delays are rounded up to hours beyond the first
            assert answered == sum(wait is not None and wait <= hours for wait in closed), hours


def test_pending_rounds_are_those_whose_window_is_open(settings: Settings, waits: list[float | None]) -> None:
    with settings.store.read() as connection:
        found = delays.pending_by_age(connection, "shop", WINDOW, NOW.replace(tzinfo=None))
    young = [wait for n, wait in enumerate(waits) if 30 * (ROUNDS - n) / 60 < WINDOW]
    assert abs(found["rounds"].sum() - len(young)) <= 2, "to the hour in which the window opens"
    assert all(answered <= asked for answered, asked in found.select("answered", "rounds").iter_rows())
    assert len(found) <= delays.POINTS


def test_a_system_without_rounds_has_no_curve(settings: Settings, waits: list[float | None]) -> None:
    with settings.store.read() as connection:
        assert delays.delay_curve(connection, "nobody", WINDOW, datetime.now(UTC).replace(tzinfo=None)).is_empty()
        assert delays.pending_by_age(connection, "nobody", WINDOW, NOW.replace(tzinfo=None)).is_empty()


@pytest.mark.parametrize("hashed", [True, False], ids=["hashes of this version", "of another"])
def test_a_decision_is_found_by_its_id(settings: Settings, waits: list[float | None], hashed: bool) -> None:
    if not hashed:
        with settings.store.write() as connection:
            connection.execute("update key_hashing set probe = 1")
            connection.execute("update decisions set key_hash = 7")
    with settings.store.read() as connection:
        for system in ("shop", None):
            found = rounds.one_decision(connection, "e00007", system)
            assert (len(found), found["numeric_amount"][0]) == (1, 0.0)
        assert rounds.newest_reward(connection, "shop", "e99999") is None
        newest = rounds.newest_decisions(connection, "shop", 5)
        with pytest.raises(UsageError, match="No decision"):
            rounds.one_decision(connection, "e99999", None)
    assert newest["event_id"].to_list() == [f"e{ROUNDS - n:05d}" for n in range(1, 6)]
