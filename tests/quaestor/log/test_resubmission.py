"""Quarantined rows that are let in after all: checked as any file is, released once, and never edited silently."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from quaestor.cli.app import app
from quaestor.errors import UsageError
from quaestor.log.ingest import ingest_file
from quaestor.log.resubmission import RESUBMIT, Resubmitted, Waiting, resubmit
from quaestor.settings import Settings
from quaestor.store import audit, health, quarantine, round_hours, rounds
from tests.quaestor.events import START, decision, outcome, write


def waiting(settings: Settings, code: str, kind: str = "outcomes") -> pl.DataFrame:
    with settings.store.read() as connection:
        return quarantine.waiting(connection, "shop", kind, code)


def rewards(settings: Settings) -> dict[str, float]:
    with settings.store.read() as connection:
        return dict(rounds.outcomes(connection, "shop").select("event_id", "reward").iter_rows())


@pytest.fixture
def kept_out(settings: Settings, tmp_path: Path) -> Settings:
    """Ten decisions; two rewards out of range, one outcome of an unknown decision, one before its decision."""
    ingest_file(settings.store, "decisions", write(tmp_path, "d.parquet", [decision(n) for n in range(10)]))
    rows = [outcome(n) for n in range(4)] + [outcome(4, reward=5.0), outcome(5, reward=9.0), outcome(77)]
    rows.append(outcome(6, observed_at=START - timedelta(days=1)))
    ingest_file(settings.store, "outcomes", write(tmp_path, "o.parquet", rows))
    return settings


@pytest.mark.slow
def test_rows_that_still_break_a_rule_wait_on(kept_out: Settings) -> None:
    before = waiting(kept_out, "bad_reward")
    found = resubmit(kept_out.store, Waiting("shop", "outcomes", "bad_reward"), {}, "ann", "perhaps now")
    assert (found.rows, found.added, found.refused) == (2, 0, {"bad_reward": 2})
    assert waiting(kept_out, "bad_reward").drop("file").equals(before.drop("file"))
    assert set(rewards(kept_out)) == {f"e{n:05d}" for n in range(4)}


def test_a_change_lets_rows_in_and_what_came_stays_on_record(kept_out: Settings) -> None:
    asked = Waiting("shop", "outcomes", "bad_reward")
    found = resubmit(kept_out.store, asked, {"reward": "1"}, "ann", "percent were sent, not shares")
    assert (found.added, found.refused) == (2, {})
    assert rewards(kept_out)["e00004"] == rewards(kept_out)["e00005"] == 1.0
    assert waiting(kept_out, "bad_reward").is_empty()
    with kept_out.store.read() as connection:
        came = connection.execute(
            "select content->>'reward', released_at is not null from quarantine where code = 'bad_reward' order by 1"
        ).fetchall()
        entry = audit.trail(connection, "shop").row(-1, named=True)
        newest = health.ingest_history(connection, rows=1).row(0, named=True)
        answered = round_hours.totals(connection)["with_outcome"][0]
    assert came == [("5.0", True), ("9.0", True)]
    assert (entry["actor"], entry["action"]) == ("ann", RESUBMIT)
    assert "reward set to '1': 2 let in. percent were sent" in entry["reason"]
    assert (newest["name"], newest["added"], newest["released"]) == ("re-submitted by ann", 2, 2)
    assert answered == 6
    with pytest.raises(UsageError, match="No outcomes of 'shop' wait"):
        resubmit(kept_out.store, asked, {"reward": "1"}, "ann", "twice")


@pytest.mark.slow
def test_one_row_is_named_by_the_start_of_its_digest(kept_out: Settings) -> None:
    digest, *_ = waiting(kept_out, "bad_reward")["row_digest"]
    asked = Waiting("shop", "outcomes", "bad_reward", (digest[:12],))
    assert resubmit(kept_out.store, asked, {"reward": "0.5"}, "ann", "looked up").added == 1
    assert len(waiting(kept_out, "bad_reward")) == 1


@pytest.mark.slow
def test_times_of_rows_that_the_store_refused_are_utc(kept_out: Settings) -> None:
    early = Waiting("shop", "outcomes", "early")
    assert resubmit(kept_out.store, early, {}, "ann", "as it is").refused == {"early": 1}
    moved = {"observed_at": "2026-03-01T05:00:00Z"}
    assert resubmit(kept_out.store, early, moved, "ann", "the clock was a day behind").added == 1
    unknown = Waiting("shop", "outcomes", quarantine.UNKNOWN_DECISION)
    assert resubmit(kept_out.store, unknown, {}, "ann", "again").refused == {quarantine.UNKNOWN_DECISION: 1}
    assert resubmit(kept_out.store, unknown, {"event_id": "e00009"}, "ann", "a typing mistake").added == 1
    with kept_out.store.read() as connection:
        seen = rounds.outcomes(connection, "shop").filter(pl.col("event_id") == "e00009")["observed_at"][0]
    assert seen == (START + timedelta(minutes=77, hours=1)).replace(tzinfo=None)


@pytest.mark.slow
def test_a_rehearsal_changes_nothing(kept_out: Settings) -> None:
    with kept_out.store.read() as connection:
        before = health.figures(connection)
    found = resubmit(
        kept_out.store, Waiting("shop", "outcomes", "bad_reward"), {"reward": "1"}, "a", "?", rehearse=True
    )
    assert found == Resubmitted(2, 2, 0, rehearsed=True)
    with kept_out.store.read() as connection:
        assert health.figures(connection) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "changes", "reason", "said"),
    [
        ("outcomes", {"rewards": "1"}, "why", "Did you mean 'reward'"),
        ("outcomes", {}, "  ", "Give a reason"),
        ("outcome", {}, "why", "Did you mean 'outcomes'"),
    ],
)
def test_what_cannot_be_asked_is_said(
    kept_out: Settings, kind: str, changes: dict[str, str], reason: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        resubmit(kept_out.store, Waiting("shop", kind, "bad_reward"), changes, "ann", reason)


@pytest.mark.slow
def test_decisions_come_with_their_lists_and_features(settings: Settings, tmp_path: Path) -> None:
    rows = [decision(0), decision(1, propensity=0.0), decision(2, eligible=["card"], action="token")]
    ingest_file(settings.store, "decisions", write(tmp_path, "d.parquet", rows))
    ingest_file(settings.store, "outcomes", write(tmp_path, "o.parquet", [outcome(1)]))
    asked = Waiting("shop", "decisions", "bad_propensity")
    assert resubmit(settings.store, asked, {"propensity": "0.75"}, "ann", "lost by the export").added == 1
    with settings.store.read() as connection:
        entered = rounds.decisions(connection, "shop", event_id="e00001").row(0, named=True)
        assert rounds.newest_reward(connection, "shop", "e00001") == 1.0, "its outcome was waiting for it"
    assert (entered["propensities"], entered["numeric_amount"]) == ([0.25, 0.75], 1.0)


def test_the_command_says_what_waits_and_what_became_of_it(kept_out: Settings) -> None:
    runner = CliRunner()
    listed = json.loads(runner.invoke(app, ["quarantine", "list", "--json"]).output)
    assert {(row["code"], row["rows"]) for row in listed} >= {("bad_reward", 2), ("early", 1)}
    asked = ["quarantine", "resubmit", "--system", "shop", "--kind", "outcomes", "--code", "bad_reward"]
    said = runner.invoke(app, [*asked, "--set", "reward=1", "--reason", "percent", "--actor", "bea"])
    assert "Of 2 rows 2 entered." in said.output
    with kept_out.store.read() as connection:
        assert audit.trail(connection)["actor"][-1] == "bea"
    again = runner.invoke(app, [*asked, "--reason", "percent"])
    assert isinstance(again.exception, UsageError)
    assert isinstance(runner.invoke(app, [*asked, "--set", "reward", "--reason", "x"]).exception, UsageError)
