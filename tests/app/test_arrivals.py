"""Rounds counted in the store are the rounds that maturity would give a learner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

from quaestor.clock import utc_now
from quaestor.log.ingest import ingest_file
from quaestor.log.maturity import MaturityParams, judge
from quaestor.settings import Settings
from quaestor.store import arrivals, rounds
from tests.app.filled import ingest
from tests.quaestor.events import outcome, write


def test_counts_agree_with_maturity(settings: Settings, tmp_path: Path) -> None:
    ingest(settings, tmp_path)
    corrected = [outcome(n, system="cards", revision=1, observed_at=datetime.now(UTC)) for n in (1, 4)]
    ingest_file(settings.store, "outcomes", write(tmp_path, "corrected.parquet", corrected))
    now = utc_now()
    with settings.store.read() as connection:
        decisions, outcomes = rounds.decisions(connection, "cards"), rounds.outcomes(connection, "cards")
        for hours, ago in product((0.5, 1.0, 24.0, 72.0), (0, 30, 300)):
            as_of = now - timedelta(hours=ago)
            counted = arrivals.standing(connection, "cards", hours, as_of)
            judged = judge(decisions, outcomes, MaturityParams(attribution_hours=hours, default_reward=0.0), as_of)
            assert counted == {status: int((judged["status"] == status).sum()) for status in counted}


def test_days_add_up_and_the_oldest_part_comes_first(settings: Settings, tmp_path: Path) -> None:
    ingest(settings, tmp_path)
    with settings.store.read() as connection:
        days, newest = arrivals.daily(connection), arrivals.newest(connection)
    assert (days["decisions"].sum(), days["with_outcome"].sum()) == (120, 90)
    assert newest["newest_at"].is_sorted()
    assert set(newest["part"]) == {"decisions", "outcomes"}
