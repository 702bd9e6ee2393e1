"""Feedback health: what arrived, what drifts, what was kept out, and letting it in after all."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from app import drifts, freshness, work
from app.queries.feedback import PAGE, drifted, feedback, ingested, waiting
from app.style import Status
from quaestor.clock import utc_now
from quaestor.log.ingest import ingest_file
from quaestor.log.resubmission import RESUBMIT
from quaestor.settings import Settings
from quaestor.store import audit, health, quarantine, rounds
from tests.app.filled import Filled, register
from tests.app.filled import rounds as learnt
from tests.app.test_screens import commands, opened, said
from tests.quaestor.events import decision, outcome, write


def tables(test: AppTest, column: str) -> pl.DataFrame:
    return next(frame.value for frame in test.dataframe if column in frame.value)


@pytest.mark.slow
def test_it_counts_rounds_and_says_why_rows_wait(settings: Settings, filled: Filled) -> None:
    test = opened("feedback_health")
    assert not test.exception
    row = tables(test, "matured").iloc[0]
    assert (row["system"], row["decisions"], row["with outcome"]) == ("cards", 120, 90)
    assert row["matured"] + row["expired"] + row["pending"] == 120
    assert row["window (hours)"] == 72
    reasons = tables(test, "reason, by example").iloc[0]
    assert (reasons["code"], reasons["rows"]) == (quarantine.UNKNOWN_DECISION, 1)
    assert len(tables(test, "ingested at (UTC)")) == 2
    assert "✓ cards: OK" in said(test).replace("\\", "")
    assert any(command.startswith("quaestor quarantine resubmit") for command in commands(test)), "a viewer is told how"
    assert not [button for button in test.button if button.label == "Re-submit"]


def test_the_oldest_part_rules_the_light() -> None:
    now = datetime(2026, 3, 20)
    newest = pl.DataFrame(
        {
            "system": ["a", "a", "b", "b", "c"],
            "part": ["decisions", "outcomes", "decisions", "outcomes", "demand"],
            "newest_at": [now, now - timedelta(days=40), now, now - timedelta(days=1), None],
        },
        schema_overrides={"newest_at": pl.Datetime("us")},
    )
    found = {row["system"]: row for row in freshness.ruled(newest, now).iter_rows(named=True)}
    assert (found["a"]["part"], found["a"]["status"]) == ("outcomes", str(Status.WATCH))
    assert found["b"]["status"] == str(Status.OK)
    assert found["c"]["status"] == str(Status.WAITING)


@pytest.fixture
def shifted(settings: Settings, tmp_path: Path) -> datetime:
    """Forty days of decisions of which the last week is another world: amounts tripled, a new issuer, more failures."""
    start, draw, rows, answers = datetime(2026, 1, 1, tzinfo=UTC), np.random.default_rng(0), [], []
    for number in range(4000):
        at = start + timedelta(days=40) * number / 4000
        new = at >= start + timedelta(days=33)
        rows.append(
            decision(
                number, system="cards", decided_at=at, numeric_amount=float(draw.normal(30 if new else 10, 2)),
                numeric_age=float(draw.normal(40, 9)),
                category_issuer="NEW" if new and number % 3 else f"I{number % 4}",
            )
        )  # fmt: skip
        if number % 10:
            reward = float(draw.random() < (0.5 if new else 0.9))
            answers.append(outcome(number, system="cards", observed_at=at + timedelta(hours=1), reward=reward))
    ingest_file(settings.store, "decisions", write(tmp_path, "d.parquet", rows))
    ingest_file(settings.store, "outcomes", write(tmp_path, "o.parquet", answers))
    return datetime(2026, 2, 11)


@pytest.mark.slow
def test_what_moved_is_told_from_what_did_not(settings: Settings, shifted: datetime) -> None:
    found = drifted("cards", shifted.isoformat())
    words = dict(drifts.features(found).select("feature", "word").iter_rows())
    assert words == {"issuer": str(Status.STOP), "amount": str(Status.WATCH), "age": str(Status.OK)}
    assert found.features is not None
    assert "features on" in drifts.told(found)
    assert found.failures is None, "no iteration has said how long outcomes may take"


def test_a_system_without_events_has_nothing_to_compare(settings: Settings, filled: Filled) -> None:
    found = drifted("shops", utc_now().isoformat())
    assert (found.decided, found.features, found.level) == (None, None, None)
    assert "cannot be compared" in drifts.told(found)
    assert drifts.features(found).is_empty()
    assert drifts.demand(found).is_empty()
    assert drifts.levels(found).is_empty()


@pytest.mark.slow
def test_long_lists_are_read_a_page_at_a_time(settings: Settings, tmp_path: Path) -> None:
    ingest_file(settings.store, "decisions", write(tmp_path, "d.parquet", [decision(0)]))
    rows = [outcome(n, reward=2.0 + n) for n in range(PAGE + 7)]
    ingest_file(settings.store, "outcomes", write(tmp_path, "o.parquet", rows))
    pages = [waiting("shop", "outcomes", "bad_reward", page) for page in (0, 1, 2)]
    assert [len(page) for page in pages] == [PAGE, 7, 0]
    assert pl.concat(pages)["row_digest"].n_unique() == len(rows)
    assert pl.concat(pages)["row_number"].to_list() == list(range(len(rows)))
    assert len(ingested(0)) == 2
    assert ingested(1).is_empty()


@pytest.fixture
def approver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sits at this machine may act."""
    monkeypatch.setenv("QUAESTOR_CONSOLE_LOCAL_APPROVER", "true")


def form(test: AppTest, column: str | None, value: str, reason: str, sure: bool) -> AppTest:
    if column is not None:
        next(box for box in test.selectbox if box.label.startswith("Set anew")).set_value(column)
    next(box for box in test.text_input if box.label == "to").set_value(value)
    next(box for box in test.text_input if box.label.startswith("Reason")).set_value(reason)
    if sure:
        next(box for box in test.checkbox if box.label.startswith("Check")).check()
    return next(button for button in test.button if button.label == "Re-submit").click().run()


@pytest.mark.slow
def test_rows_are_let_in_by_a_process_of_its_own(settings: Settings, filled: Filled, approver: None) -> None:
    work.jobs().clear()
    test = opened("feedback_health")
    form(test, None, "", "no", sure=False)
    assert "Tick the box" in test.error[0].value
    form(opened("feedback_health"), "event_id", "e00000", "", sure=True)
    assert not work.jobs(), "without a reason nothing is started"
    test = form(opened("feedback_health"), "event_id", "e00000", "the shop's own number", sure=True)
    assert not test.exception
    (job,) = work.jobs()
    job.process.wait(timeout=60)
    assert job.state == "done", job.said()
    with settings.store.read() as connection:
        entry = audit.trail(connection, "cards").row(-1, named=True)
        answer = rounds.newest_reward(connection, "cards", "e00000")
        assert health.quarantine_reasons(connection).is_empty()
    assert (entry["action"], entry["actor"]) == (RESUBMIT, "tester")
    assert answer is not None
    test = opened("feedback_health")
    assert "Of 1 rows 1 entered." in said(test).replace("\\", "")
    assert "No row waits in quarantine." in said(test)
    assert "tester" in tables(test, "entered at (UTC)")["actor"].tolist()


@pytest.mark.slow
def test_what_a_person_types_is_never_a_command(settings: Settings, filled: Filled, approver: None) -> None:
    work.jobs().clear()
    hostile = "--dry-run; touch /tmp/hacked $(reboot) `id`"
    form(opened("feedback_health"), "event_id", hostile, hostile, sure=True)
    (job,) = work.jobs()
    job.process.wait(timeout=60)
    deadline = time.monotonic() + 5
    while job.state == "runs" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert job.state == "failed", "no decision has such an id: the row waits on"
    with settings.store.read() as connection:
        assert hostile in audit.trail(connection, "cards")["reason"][-1]
        assert len(health.quarantine_reasons(connection)) == 1
    assert not Path("/tmp/hacked").exists()


def test_a_manifest_without_a_default_hides_nothing(settings: Settings, filled: Filled) -> None:
    """A system whose newest manifest does not say what a missing outcome counts as: the one before it is asked."""
    odd = {name: value for name, value in learnt().items() if name != "default_reward"}
    register(settings, "cards", "odd", odd, filled.second)
    found = feedback(utc_now().isoformat())
    assert found.systems.filter(pl.col("system") == "cards")["window_hours"].to_list() == [72.0]
    register(settings, "bazaar", "odd, too", odd, None)
    assert drifted("bazaar", utc_now().isoformat()).failures is None
