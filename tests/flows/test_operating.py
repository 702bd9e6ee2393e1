"""The flows of operation, one by one: the inbox, dry runs, backfill, alarms that are told, retention."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.backfill import moments, run_backfill
from flows.ingest import run_ingest_inbox
from flows.payments_training import moment_of
from flows.retention import run_retention
from flows.retrain_payments import run_retrain_payments
from flows.watch_alarms import run_watch_alarms
from quaestor.clock import told_by, utc_now
from quaestor.errors import QuaestorError, UsageError
from quaestor.log import inbox
from quaestor.log.ingest import ingest_file
from quaestor.settings import Settings
from tests.flows.operations import listener, small_studies, world_events
from tests.quaestor.events import decision, outcome, write
from tests.quaestor.log.test_ingest import dump


def counts(settings: Settings) -> dict[str, int]:
    with settings.store.read() as connection:
        return {
            table: connection.execute(f"select count(*) from {table}").fetchone()[0]
            for table in ("decisions", "outcomes", "iterations", "evidence", "verdicts", "bundles", "quarantine")
        }


def test_what_is_still_written_or_of_no_format_is_left_in_the_inbox(tmp_path: Path) -> None:
    for name in ("decisions/shop/a.csv", "outcomes/b.parquet", "demand/c.csv.part", "decisions/.d.csv", "stray.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [(each.path.name, each.file_format, each.system) for each in inbox.waiting(tmp_path)]
    assert found == [("a.csv", "decisions", "shop"), ("b.parquet", "outcomes", None)]
    assert [path.name for path in inbox.strangers(tmp_path)] == ["stray.csv"]


def test_a_range_of_moments() -> None:
    first = datetime(2026, 3, 1)
    assert moments(first, first + timedelta(days=2), 0.5) == [first + timedelta(hours=12 * k) for k in range(5)]
    for last, every, said in (
        (first - timedelta(days=1), 1.0, "before --from"),
        (first, 0.0, "above 0"),
        (utc_now() + timedelta(hours=1), 1.0, "in the future"),
    ):
        with pytest.raises(UsageError, match=said):
            moments(first, last, every)


def test_a_clock_that_ran_ahead_or_a_silent_feed_closes_no_window(settings: Settings, tmp_path: Path) -> None:
    noon = datetime(2026, 1, 1, 12)
    for hours, number in ((0, 1), (1, 2)):
        with told_by(lambda hours=hours: noon + timedelta(hours=hours)):
            ingest_file(settings.store, "decisions", write(tmp_path, f"{number}.parquet", [decision(number)]))
            assert moment_of(settings) == noon + timedelta(hours=hours)
    with told_by(lambda: noon + timedelta(days=3652)):
        assert moment_of(settings) == noon + timedelta(hours=1)
        stated = noon + timedelta(days=4)
        assert moment_of(settings, stated) == stated  # who names a moment answers for it
    with told_by(lambda: noon):
        assert moment_of(settings) == noon


def test_what_came_while_the_clock_was_ahead_closes_no_window_once_it_is_right(
    settings: Settings, tmp_path: Path
) -> None:
    noon = datetime(2026, 1, 1, 12)
    for days, number in ((0, 1), (3652, 2)):
        with told_by(lambda days=days: noon + timedelta(days=days)):
            ingest_file(settings.store, "decisions", write(tmp_path, f"{number}.parquet", [decision(number)]))
    for silent in (1, 100):
        with told_by(lambda silent=silent: noon + timedelta(hours=silent)):
            assert moment_of(settings) == noon
    with told_by(lambda: noon + timedelta(hours=101)):
        ingest_file(settings.store, "decisions", write(tmp_path, "3.parquet", [decision(3)]))
        assert moment_of(settings) == noon + timedelta(hours=101)
    with told_by(lambda: noon - timedelta(hours=1)):  # by a clock that is behind nothing has come yet
        assert moment_of(settings) == noon - timedelta(hours=1)


@pytest.mark.slow
def test_the_inbox_is_brought_in_once_and_a_bad_file_keeps_nobody_waiting(settings: Settings, tmp_path: Path) -> None:
    rows = [decision(n) for n in range(50)]
    write(settings.inbox / "decisions", "a.parquet", rows)
    write(settings.inbox / "outcomes", "a.parquet", [outcome(n) for n in range(50)])
    (settings.inbox / "decisions" / "torn.parquet").write_bytes(b"PAR1")
    assert run_ingest_inbox(dry_run=True) == []
    assert counts(settings)["decisions"] == 0
    run_ingest_inbox()
    assert (counts(settings)["decisions"], counts(settings)["outcomes"]) == (50, 50)
    assert inbox.waiting(settings.inbox) == []
    assert list(inbox.refused(settings.refused)) == ["decisions/torn.parquet"]
    write(settings.inbox / "decisions", "a.parquet", rows)  # delivered again, and killed before it was moved
    before = dump(settings.store)
    run_ingest_inbox()
    assert dump(settings.store) == before
    again = write(settings.inbox / "decisions", "a.parquet", [decision(99)])  # another file of the same name
    run_ingest_inbox()
    assert not again.exists()
    assert len(list((settings.ingested / "decisions").iterdir())) == 2


@pytest.mark.slow
def test_a_dry_run_and_a_backfill_do_only_what_they_say(settings: Settings, tmp_path: Path) -> None:
    study = small_studies(tmp_path)["payments"]
    for kind, path in world_events(tmp_path, 0, 3000).items():
        ingest_file(settings.store, kind, path)
    with settings.store.read() as connection:
        (first,) = connection.execute("select min(decided_at) from decisions").fetchone()
    # 3,000 payments take 15 hours, their windows three days: at first none has matured, then half, then all
    early, end, every = first + timedelta(hours=64.5), first + timedelta(hours=94.5), 15 / 24
    before = counts(settings)
    planned = run_retrain_payments(study, as_of=end, dry_run=True)
    assert (planned.stage, planned.candidate_id, planned.done_before) == ("dry run", "", ())
    assert counts(settings) == before
    made = run_backfill(study, early, end, every)
    assert len({each.candidate_id for each in made}) == 2
    done = counts(settings)
    again = run_backfill(study, early, end, every)
    assert [each.candidate_id for each in again] == [each.candidate_id for each in made]
    assert counts(settings) == done
    planned = run_retrain_payments(study, as_of=end, dry_run=True)
    assert planned.candidate_id == made[-1].candidate_id
    assert "To do: nothing" in planned.reasons[0]


@pytest.mark.slow
def test_alarms_are_told_once_and_again_only_when_nobody_could_be(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "alerts.toml"
    with listener() as (address, told):
        monkeypatch.setenv("HOOK", address)
        path.write_text('to = ["${HOOK}"]\n')
        assert run_watch_alarms(path) == ()
        assert told == []  # quiet when all is well
        write(settings.refused / "decisions", "a.parquet", [decision(1)])
        (settings.refused / "decisions" / "a.parquet.reason.txt").write_text("It is torn.")
        path.write_text('to = ["json://127.0.0.1:9/"]\n')
        with pytest.raises(QuaestorError, match="could not be told by json"):
            run_watch_alarms(path)
        path.write_text('to = ["${HOOK}"]\n')
        (alarm,) = run_watch_alarms(path)
        run_watch_alarms(path)
        assert alarm.subject == "refused files"
        assert [(message["title"], "It is torn." in message["message"]) for message in told] == [
            ("Quaestor: 1 new", True)
        ]
        path.write_text('to = ["${NOBODY}"]\n')
        run_watch_alarms(path)  # nothing is new: nobody is looked for


@pytest.mark.slow
def test_retention_deletes_what_is_old_and_ingested_files_with_it(settings: Settings, tmp_path: Path) -> None:
    old = decision(1, decided_at=datetime(2020, 1, 1).astimezone())
    write(settings.inbox / "decisions", "a.parquet", [old, decision(2, decided_at=datetime.now().astimezone())])
    run_ingest_inbox()
    path = tmp_path / "retention.toml"
    path.write_text("files_days = 0\n[all]\ndecisions_days = 30\n")
    (going,) = run_retention(path, dry_run=True)
    assert (going.rows, counts(settings)["decisions"]) == (1, 2)
    assert len(list(settings.ingested.glob("**/*.parquet"))) == 1
    run_retention(path)
    assert counts(settings)["decisions"] == 1
    assert list(settings.ingested.glob("**/*.parquet")) == []
    with settings.store.read() as connection:
        kinds: list[Any] = connection.execute("select kind, rows, actor from deletions order by kind").fetchall()
    assert kinds == [("decisions", 1, "tester"), ("files", 1, "tester")]


def test_prefect_leases_outlive_a_killed_server() -> None:
    assert os.environ["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"].endswith("filesystem")
