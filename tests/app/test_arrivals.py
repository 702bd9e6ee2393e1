"""Rounds counted at ingest are the rounds that maturity would give a learner, in whatever order they came."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from quaestor.clock import utc_now
from quaestor.log.ingest import ingest_file
from quaestor.log.maturity import MaturityParams, judge
from quaestor.settings import Settings
from quaestor.store import Connection, arrivals, deletion, forgetting, round_hours, rounds
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


@dataclass(frozen=True)
class Came:
    """What came of one decision: minutes until it was taken, and from there to the outcome of each revision."""

    minute: int
    waits: tuple[int, ...]
    fallback: bool
    about: str


STARTED = datetime(2026, 3, 1, 10, tzinfo=UTC)
CAME = st.builds(
    Came,
    minute=st.integers(0, 300),
    waits=st.lists(st.sampled_from((0, 1, 29, 30, 59, 60, 61, 75, 240, 1440, 5000)), max_size=3).map(tuple),
    fallback=st.booleans(),
    about=st.sampled_from(("her", "him")),
)


@pytest.mark.slow
@given(
    came=st.lists(CAME, min_size=1, max_size=12),
    order=st.randoms(use_true_random=False),
    gone=st.sampled_from(("nothing", "the oldest", "a person")),
)
@hypothesis_settings(max_examples=6, deadline=None)
def test_counts_kept_at_ingest_are_those_of_the_events(came: list[Came], order: Random, gone: str) -> None:
    """Whatever comes late, corrected, before its decision, by the fallback, or leaves the store again."""
    decisions = [
        decision(n, decided_at=STARTED + timedelta(minutes=each.minute), fallback=each.fallback, subject=each.about)
        for n, each in enumerate(came)
    ]
    outcomes = [
        outcome(n, revision=revision, observed_at=STARTED + timedelta(minutes=each.minute + wait))
        for n, each in enumerate(came)
        for revision, wait in enumerate(each.waits)
    ]
    files = [("decisions", decisions), ("outcomes", outcomes[::2]), ("outcomes", outcomes[1::2])]
    order.shuffle(files)
    with tempfile.TemporaryDirectory() as folder:
        store = Settings(data=Path(folder) / "data").store
        for number, (kind, rows) in enumerate(files):
            if rows:
                ingest_file(store, kind, write(Path(folder), f"{number}.parquet", rows))
        with store.write() as connection:
            if gone == "a person":
                forgetting.forget(connection, "shop", subject_of(connection), utc_now())
            if gone == "the oldest":
                for kind in ("outcomes", "decisions"):
                    deletion.delete(connection, kind, "shop", STARTED.replace(tzinfo=None) + timedelta(minutes=90))
            if rounds.systems(connection):
                counted_as_judged(connection, "shop", datetime(2026, 3, 5))
                days_are_those_of_the_events(connection)


def subject_of(connection: Connection) -> str:
    """The keyed hash of somebody whom a decision was about."""
    return str(connection.execute("select min(subject) from decisions").fetchall()[0][0])


def days_are_those_of_the_events(connection: Connection) -> None:
    direct = connection.execute(
        "select d.system, d.decided_at::date as day, count(*) as decisions, count(o.event_id) as with_outcome "
        "from decisions d left join (select distinct system, event_id from outcomes) o using (system, event_id) "
        "group by all order by all"
    ).pl()
    assert round_hours.daily(connection).equals(direct)
    assert round_hours.totals(connection)["decisions"].sum() == direct["decisions"].sum()


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
