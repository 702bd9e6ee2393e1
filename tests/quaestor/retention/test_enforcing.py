"""What is too old goes and is written down; what an iteration needs stays, or its loss is said and marked."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from quaestor.errors import UsageError
from quaestor.log.ingest import ingest_file
from quaestor.registry.promotion import promote
from quaestor.retention.enforcing import DATA_DELETED, Leaving, leaving, let_go
from quaestor.retention.windows import Kept, RetentionWindows, read_windows
from quaestor.settings import Settings
from quaestor.store import deletion, evidence
from tests.conftest import STUDIES
from tests.quaestor.events import START, decision, outcome, write

pytestmark = pytest.mark.slow

HOURS = 100
NOW = START.replace(tzinfo=None) + timedelta(hours=HOURS)


@pytest.fixture
def hourly(settings: Settings, tmp_path: Path) -> Settings:
    """A hundred decisions of a shop, one an hour, each with its outcome, and of another shop as many."""
    for system in ("shop", "other"):
        rows = [decision(n, system=system, decided_at=START + timedelta(hours=n)) for n in range(HOURS)]
        answers = [outcome(n, system=system, observed_at=START + timedelta(hours=n + 1)) for n in range(HOURS)]
        ingest_file(settings.store, "decisions", write(tmp_path, f"{system}-d.parquet", rows))
        ingest_file(settings.store, "outcomes", write(tmp_path, f"{system}-o.parquet", answers))
    return settings


def learnt(settings: Settings, name: str, hours_ago: float) -> str:
    """A registered iteration that learnt from rounds of the last so many hours."""
    since, number = NOW - timedelta(hours=hours_ago), len(name)
    data = {"digest": name, "rounds": 1, "as_of": str(NOW), "decided_from": str(since)}
    with settings.store.write() as connection:
        connection.execute(
            "insert into iterations by name select ? as iteration_id, 'shop' as system, 'd' as inputs_digest, "
            "'p' as policy, ? as manifest, 'f' as folder, ? as created_at, ? as entry",
            [name, json.dumps({"configuration": {}, "data": data}), NOW, number],
        )
    return name


def enforced(settings: Settings, windows: RetentionWindows, now: datetime = NOW) -> list[Leaving]:
    with settings.store.write() as connection:
        found = leaving(connection, windows, now)
        for each in found:
            let_go(connection, each, "tester", now)
    return found


def rows(settings: Settings, table: str, system: str) -> int:
    with settings.store.read() as connection:
        return int(connection.execute(f"select count(*) from {table} where system = ?", [system]).fetchone()[0])


ONE_DAY = RetentionWindows(systems={"shop": Kept(decisions_days=1)})


def test_the_window_rolls_and_another_system_is_not_touched(hourly: Settings) -> None:
    (gone,) = enforced(hourly, ONE_DAY)
    assert (gone.rows, gone.outcomes, gone.held) == (76, 76, 0)
    assert [rows(hourly, table, "shop") for table in ("decisions", "outcomes")] == [24, 24]
    assert [rows(hourly, table, "other") for table in ("decisions", "outcomes")] == [HOURS, HOURS]
    with hourly.store.read() as connection:
        written = deletion.history(connection).select("actor", "system", "kind", "rows").rows()
    assert sorted(written) == [("tester", "shop", "decisions", 76), ("tester", "shop", "outcomes", 76)]
    assert enforced(hourly, ONE_DAY) == []
    (later,) = enforced(hourly, ONE_DAY, NOW + timedelta(hours=6))
    assert later.rows == 6


def test_looking_deletes_nothing(hourly: Settings) -> None:
    with hourly.store.read() as connection:
        assert leaving(connection, ONE_DAY, NOW)[0].rows == 76
    assert rows(hourly, "decisions", "shop") == HOURS


def test_what_a_live_iteration_and_its_rollback_target_rest_on_stays(hourly: Settings) -> None:
    for name, hours in (("a", 90.0), ("bb", 60.0), ("ccc", 40.0)):
        promote(hourly.store, learnt(hourly, name, hours), "tester", "better", override=True)
    (gone,) = enforced(hourly, ONE_DAY)
    assert (gone.rows, gone.held) == (40, 36)  # bb, the target, needs the last 60 hours; a is needed no more
    assert {each.iteration_id for each in gone.needed_by} == {"bb", "ccc"}
    assert "stay for bb (rollback target), ccc (live)" in gone.sentence()
    with hourly.store.read() as connection:
        marked = [name for name in ("a", "bb", "ccc") if evidence.latest(connection, name, DATA_DELETED)]
    assert marked == ["a"]


def test_what_has_to_go_all_the_same_is_said_and_marked(hourly: Settings) -> None:
    promote(hourly.store, learnt(hourly, "a", 90.0), "tester", "better", override=True)
    learnt(hourly, "fresh", 10.0)
    (gone,) = enforced(hourly, RetentionWindows(systems=ONE_DAY.systems, hold=False))
    assert (gone.rows, gone.held) == (76, 0)
    assert "cannot be verified from its data any more: a (live)" in gone.sentence()
    with hourly.store.read() as connection:
        assert evidence.latest(connection, "a", DATA_DELETED)[1]["kind"] == "decisions"
        assert evidence.latest(connection, "fresh", DATA_DELETED) is None


def test_an_iteration_that_does_not_say_since_when_rests_on_everything(hourly: Settings) -> None:
    promote(hourly.store, learnt(hourly, "a", 90.0), "tester", "better", override=True)
    with hourly.store.write() as connection:
        old = json.dumps({"configuration": {}, "data": {"digest": "a", "rounds": 1, "as_of": str(NOW)}})
        connection.execute("update iterations set manifest = ?", [old])
    (gone,) = enforced(hourly, ONE_DAY)
    assert (gone.rows, gone.held) == (0, 76)


def test_quarantined_rows_go_too(hourly: Settings, tmp_path: Path) -> None:
    stray = [outcome(9999, system="unknown", event_id="nobody")]
    ingest_file(hourly.store, "outcomes", write(tmp_path, "stray.parquet", stray))
    windows = RetentionWindows(all=Kept(quarantine_days=0))
    (gone,) = enforced(hourly, windows, datetime.now() + timedelta(days=2))
    assert (gone.system, gone.kind, gone.rows) == ("unknown", "quarantine", 1)
    assert rows(hourly, "quarantine", "unknown") == 0


def test_the_sample_file_is_read_and_slips_in_it_are_named(tmp_path: Path) -> None:
    assert read_windows(STUDIES / "operations" / "retention.toml").hold
    (tmp_path / "w.toml").write_text("[systems.shop]\ndecision_days = 3")
    with pytest.raises(UsageError, match="Did you mean 'decisions_days'"):
        read_windows(tmp_path / "w.toml")
    (tmp_path / "w.toml").write_text("[all]\ndecisions_days = 0")
    with pytest.raises(UsageError, match="above 0"):
        read_windows(tmp_path / "w.toml")
