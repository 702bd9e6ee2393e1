"""Rounds counted at ingest are the rounds that maturity would give a learner, in whatever order they came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import polars as pl
import pytest

from quaestor.clock import utc_now
from quaestor.log.ingest import ingest_file
from quaestor.log.maturity import MaturityParams, judge
from quaestor.settings import Settings
from quaestor.store import Connection, arrivals, deletion, round_hours, rounds
from tests.app.filled import ingest
from tests.quaestor.events import decision, outcome, write

WINDOWS = (0.5, 1.0, 1.25, 24.0, 72.0)


def counted_as_judged(connection: Connection, system: str, now: datetime) -> None:
    decisions, outcomes = rounds.decisions(connection, system), rounds.outcomes(connection, system)
    for hours, ago in product(WINDOWS, (0, 30, 300)):
        as_of = now - timedelta(hours=ago)
        counted = round_hours.standing(connection, system, hours, as_of)
        judged = judge(decisions, outcomes, MaturityParams(attribution_hours=hours, default_reward=0.0), as_of)
        assert counted == {status: int((judged["status"] == status).sum()) for status in counted}, (hours, ago)


def test_counts_agree_with_maturity(settings: Settings, tmp_path: Path) -> None:
    ingest(settings, tmp_path)
    corrected = [outcome(n, system="cards", revision=1, observed_at=datetime.now(UTC)) for n in (1, 4)]
    ingest_file(settings.store, "outcomes", write(tmp_path, "corrected.parquet", corrected))
    with settings.store.read() as connection:
        counted_as_judged(connection, "cards", utc_now())


def test_whatever_order_outcomes_come_in_the_counts_are_the_same(settings: Settings, tmp_path: Path) -> None:
    """Late, corrected, with the earlier one last, before their decision, twice, and at the edges of hours."""
    hour = datetime(2026, 3, 1, 10, tzinfo=UTC)
    times = [hour + timedelta(minutes=20 * number) for number in range(12)]
    files = {
        "outcomes-1": [outcome(0, observed_at=times[0] + timedelta(hours=1))],  # waits for its decision
        "decisions-1": [decision(number, decided_at=at) for number, at in enumerate(times)],
        "outcomes-2": [
            *(outcome(n, observed_at=times[n] + timedelta(minutes=30 * n)) for n in range(1, 6)),
            outcome(7, revision=2, observed_at=times[7] + timedelta(hours=30)),
            outcome(8, revision=1, observed_at=times[8] + timedelta(hours=2)),
        ],
        "outcomes-3": [
            outcome(7, revision=1, observed_at=times[7] + timedelta(minutes=5)),  # earlier, and comes later
            outcome(8, revision=2, observed_at=times[8] + timedelta(hours=40)),
            outcome(2, observed_at=times[2] + timedelta(minutes=60)),  # a duplicate
            outcome(3, observed_at=times[3] + timedelta(minutes=1)),  # a conflict, which does not enter
        ],
    }
    for name, rows in files.items():
        ingest_file(settings.store, name.partition("-")[0], write(tmp_path, f"{name}.parquet", rows))
        with settings.store.read() as connection:
            if name != "outcomes-1":
                counted_as_judged(connection, "shop", datetime(2026, 3, 5))
    with settings.store.write() as connection:
        told = summed(connection)
        round_hours.tell_anew(connection)
        assert told.equals(summed(connection))
        deletion.delete(connection, "outcomes", "shop", hour.replace(tzinfo=None) + timedelta(hours=1, minutes=30))
        deletion.delete(connection, "decisions", "shop", hour.replace(tzinfo=None) + timedelta(hours=1, minutes=30))
        counted_as_judged(connection, "shop", datetime(2026, 3, 5))


def summed(connection: Connection) -> pl.DataFrame:
    return connection.execute(
        "select system, hour, delay, sum(rounds)::bigint as rounds from round_hours group by all "
        "having sum(rounds) <> 0 order by all"
    ).pl()


def test_days_and_totals_add_up_and_the_oldest_part_comes_first(settings: Settings, tmp_path: Path) -> None:
    ingest(settings, tmp_path)
    with settings.store.read() as connection:
        days, newest, totals = (
            round_hours.daily(connection),
            arrivals.newest(connection),
            round_hours.totals(connection),
        )
    assert (days["decisions"].sum(), days["with_outcome"].sum()) == (120, 90)
    assert totals.row(0) == ("cards", 120, 90, pytest.approx(1.0))
    assert newest["newest_at"].is_sorted()
    assert set(newest["part"]) == {"decisions", "outcomes"}
