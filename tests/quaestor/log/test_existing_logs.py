"""Logs that teams already have: mapped columns, and the JSON lines of a decision service."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from quaestor.cli.app import app
from quaestor.errors import QuaestorError, UsageError
from quaestor.log import formats
from quaestor.log.adapters.decision_service import action_features
from quaestor.log.ingest import ingest_file
from quaestor.settings import Settings
from quaestor.store import rounds

MAPPING = """
system = "checkout"
actions = ["card", "token"]
time_zone = "Europe/Amsterdam"
rewards = { approved = 1.0, declined = 0.0 }

[decisions]
event_id = "payment"
decided_at = "created"
action = "route"
propensity = "chance"
numeric = { amount = "eur" }
category = { issuer = "bin" }

[outcomes]
event_id = "payment"
observed_at = "settled"
reward = "state"
"""
CSV = """payment,created,route,chance,eur,bin,settled,state
1,2026-07-01 12:00:00,card,0.25,10.5,411111,2026-07-01 13:00:00,approved
2,2026-07-01 12:01:00,token,0.75,,522222,2026-07-01 13:00:00,declined
3,2026-07-01 12:02:00,token,0.75,7,411111,,
4,2026-07-01 12:03:00,token,1.75,7,411111,2026-07-01 13:00:00,approved
5,2026-07-01 12:04:00,card,0.25,7,411111,2026-07-01 13:00:00,lost
"""


def _event(number: int, **changes: Any) -> dict[str, Any]:
    actions = [{"_tag": name, "j": {"colour": colour}} for name, colour in (("red", "warm"), ("blue", "cold"))]
    event: dict[str, Any] = {
        "_label_cost": -1.0,
        "o": [{"v": 1.0}],
        "Timestamp": f"2021-02-04T16:31:{number:02d}.2460000Z",
        "EventId": f"e{number}",
        "a": [2, 1],
        "p": [0.8, 0.2],
        "c": {"User": {"age": 30 + number, "vip": True, "_secret": 1}, "_multi": actions},
        "VWState": {"m": "model"},
    }
    return {**event, **changes}


def _log(folder: Path, events: list[Any]) -> Path:
    path = folder / "shop.dsjson"
    path.write_text("".join(f"{event if isinstance(event, str) else json.dumps(event)}\n" for event in events))
    return path


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_mapping_reads_what_a_team_has(settings: Settings, tmp_path: Path, suffix: str) -> None:
    mapping, path = tmp_path / "map.toml", tmp_path / f"log.{suffix}"
    mapping.write_text(MAPPING)
    (tmp_path / "log.csv").write_text(CSV)
    if suffix == "parquet":
        pl.read_csv(tmp_path / "log.csv").with_columns(pl.col("created", "settled").str.to_datetime()).write_parquet(
            path
        )
    summary = ingest_file(settings.store, str(mapping), path)
    # Four good decisions and their outcomes; 4 has a bad propensity, so that its outcome waits; 5 has a strange reward.
    assert (summary.rows, summary.added) == (9, 6)
    assert summary.refused == {"bad_propensity": 1, "unreadable": 1, "unknown_decision": 1}
    with settings.store.read() as connection:
        found, outcomes = rounds.decisions(connection, "checkout"), rounds.outcomes(connection, "checkout")
    assert found["event_id"].to_list() == ["1", "2", "3", "5"]
    assert found["decided_at"][0].isoformat() == "2026-07-01T10:00:00"  # noon in Amsterdam
    assert found["eligible"].to_list()[0] == ["card", "token"]
    assert found["numeric_amount"].to_list() == [10.5, None, 7.0, 7.0]
    assert dict(zip(outcomes["event_id"], outcomes["reward"], strict=True)) == {"1": 1.0, "2": 0.0}


def test_a_mapping_of_a_column_that_is_not_there_is_a_sentence(settings: Settings, tmp_path: Path) -> None:
    mapping, path = tmp_path / "map.toml", tmp_path / "log.csv"
    mapping.write_text(MAPPING.replace('"chance"', '"chanse"'))
    path.write_text(CSV)
    with pytest.raises(UsageError, match=r"no column 'chanse'.*Did you mean 'chance'"):
        ingest_file(settings.store, str(mapping), path)


def test_what_a_log_says_of_actions_goes_into_a_study(tmp_path: Path) -> None:
    """What holds whenever an action is offered; a price that changes describes no action."""
    events = [_event(number) for number in range(3)]
    for number, event in enumerate(events):
        event["c"]["_multi"] = [{**action, "j": action["j"] | {"price": number}} for action in event["c"]["_multi"]]
    path = _log(tmp_path, [*events, "no JSON"])
    said = CliRunner().invoke(app, ["describe-actions", str(path)])
    assert said.exit_code == 0, said.output
    parsed = tomllib.loads(said.stdout)["refit"]["actions"]["features"]
    assert parsed == {"red": ["j.colour=warm"], "blue": ["j.colour=cold"]}
    with pytest.raises(QuaestorError, match="no line with actions"):
        action_features(_log(tmp_path, ["no JSON"]))


def test_the_service_s_own_sample_enters_whole(settings: Settings, shared_data: Path) -> None:
    path = shared_data / "decision_service_sample.dsjson"
    summary = ingest_file(settings.store, "dsjson", path, "coffee")
    assert (summary.added, summary.refused) == (24, {})
    with settings.store.read() as connection:
        found, outcomes = rounds.decisions(connection, "coffee"), rounds.outcomes(connection, "coffee")
    first = found.filter(pl.col("event_id") == "13118d9b4c114f8485d9dec417e3aefe").to_dicts()[0]
    assert first["action"] == "Latte"
    assert first["propensity"] == 0.05
    assert dict(zip(first["eligible"], first["propensities"], strict=True))["Iced mocha"] == 0.85
    assert first["category_FromUrl.weather"] == "Sunny"
    assert outcomes["reward"].to_list().count(1.0) == sum('"_label_cost":-1.0' in line for line in path.open())
    assert "j.origin=kenya" in action_features(path)["Cappucino"]


def test_lines_of_a_service_are_read_one_by_one(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Skipped, dangling, unreadable and unanswered ones among good ones, in parts of two lines."""
    from quaestor.log.adapters import decision_service

    monkeypatch.setattr(decision_service, "LINES", 2)
    dangling = {"EventId": "e1", "RewardValue": 0.5, "EnqueuedTimeUtc": "2021-02-04T17:00:00.1234567Z"}
    events = [
        dangling,
        _event(0),
        _event(1, o=[], _label_cost=0.0),
        _event(2, _skipLearn=True),
        "{not json",
        _event(3, _label_cost=-7.0),
        _event(4, p=[0.8, 0.9]),
    ]
    path = _log(tmp_path, events)
    summary = ingest_file(settings.store, "dsjson", path)
    assert summary.refused == {
        "unknown_decision": 1,  # that of the decision with bad propensities; the dangling one's comes later in the file
        "not_activated": 1,
        "unreadable": 1,
        "bad_reward": 1,
        "bad_propensities": 1,
    }
    assert summary.released == 0
    with settings.store.read() as connection:
        found, outcomes = rounds.decisions(connection, "shop"), rounds.outcomes(connection, "shop")
    assert found["event_id"].to_list() == ["e0", "e1", "e3"]
    assert found["numeric_User.age"].to_list() == [30.0, 31.0, 33.0]
    assert found["category_User.vip"].to_list() == ["True"] * 3
    assert [name for name in found.columns if "secret" in name] == []
    assert dict(zip(outcomes["event_id"], outcomes["reward"], strict=True)) == {"e0": 1.0, "e1": 0.5}
    assert ingest_file(settings.store, "dsjson", path).already


def test_parts_of_a_table_make_the_same_store(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.quaestor.events import decision, write

    path = write(tmp_path, "d.parquet", [decision(n) for n in range(25)] + [decision(3), decision(30, propensity=2.0)])
    whole = ingest_file(settings.store, "decisions", path)
    monkeypatch.setattr(formats, "ROWS", 4)
    other = Settings(data=tmp_path / "other")
    parted = ingest_file(other.store, "decisions", path)
    assert (parted.rows, parted.added, parted.duplicate, parted.refused) == (27, 25, 1, {"bad_propensity": 1})
    assert (whole.rows, whole.added, whole.duplicate, whole.refused) == (27, 25, 1, {"bad_propensity": 1})
    with settings.store.read() as one, other.store.read() as two:
        assert rounds.decisions(one, "shop").equals(rounds.decisions(two, "shop"))
