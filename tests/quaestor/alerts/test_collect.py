"""A store in which all is well raises no alarm; each fault planted in it raises its own and no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from quaestor.alerts.collect import standing
from quaestor.alerts.limits import Alerts, Limits, read_alerts
from quaestor.errors import UsageError
from quaestor.log.ingest import ingest_file
from quaestor.registry.certificates import VALID_DAYS
from quaestor.registry.judging import EVALUATION, HEALTH, judge_iteration, keep
from quaestor.registry.promotion import promote, reject
from quaestor.settings import Settings
from quaestor.store import alarms
from tests.conftest import STUDIES
from tests.evidence import GATE, approved, certify, evaluation, policy, register

pytestmark = pytest.mark.slow

NOW = datetime(2026, 3, 29)
ROUNDS = 6000
ALERTS = Alerts(all=Limits(decisions_hours=2, outcomes_hours=30, defaulted_share=0.3, days=5, reference_days=20))
Change = Callable[[pl.DataFrame, np.ndarray], pl.DataFrame]


def events(seed: int, decisions: Change, outcomes: Change) -> tuple[pl.DataFrame, pl.DataFrame]:
    """25 days of decisions and of outcomes a day later; `recent` are those of the last five days."""
    draw = np.random.default_rng(seed)
    minutes = np.sort(draw.random(ROUNDS)) * 25 * 24 * 60
    decided = [NOW - timedelta(days=25) + timedelta(minutes=float(at)) for at in minutes]
    recent = minutes > 20 * 24 * 60
    frame = pl.DataFrame(
        {
            "event_id": [f"e{n}" for n in range(ROUNDS)],
            "decided_at": pl.Series(decided).dt.replace_time_zone("UTC"),
            "iteration_id": "rule",
            "eligible": [["a0", "a1"]] * ROUNDS,
            "action": [f"a{k}" for k in draw.integers(0, 2, ROUNDS)],
            "propensity": 0.5,
            "numeric_amount": draw.normal(size=ROUNDS),
            "category_bank": [f"B{k}" for k in draw.integers(0, 5, ROUNDS)],
        }
    )
    answered = frame.select(
        "event_id",
        observed_at=pl.col("decided_at") + pl.duration(hours=20),
        reward=pl.Series((draw.random(ROUNDS) < 0.8).astype(float)),
    )
    known = answered["observed_at"].dt.replace_time_zone(None).to_numpy() <= np.datetime64(NOW)
    return decisions(frame, recent), outcomes(answered.filter(known), recent[known])


def demand(change: Callable[[int], float]) -> pl.DataFrame:
    """Thirty weeks of two stores, the last one a week ago; `change` by the week's age."""
    draw = np.random.default_rng(3)
    rows = [
        ("milk", store, week, (NOW - timedelta(weeks=30 - week)).date(), change(30 - week) * draw.normal(100, 5))
        for store in ("north", "south")
        for week in range(30)
    ]
    return pl.DataFrame(rows, schema=["product", "store", "period", "starts_on", "units"], orient="row")


def same(frame: pl.DataFrame, _recent: np.ndarray) -> pl.DataFrame:
    return frame


def level(_weeks_ago: int) -> float:
    return 1.0


def filled(
    settings: Settings,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    decisions: Change = same,
    outcomes: Change = same,
    units: Callable[[int], float] = level,
    seed: int = 0,
) -> list[str]:
    """Brings the events in, as if it were NOW, and returns the subjects and abouts of the alarms."""
    monkeypatch.setattr("quaestor.store.files.utc_now", lambda: NOW)
    monkeypatch.setattr("quaestor.store.quarantine.utc_now", lambda: NOW - timedelta(days=2))
    decided, answered = events(seed, decisions, outcomes)
    decided.write_parquet(folder / "decisions.parquet")
    answered.write_parquet(folder / "outcomes.parquet")
    demand(units).write_parquet(folder / "demand.parquet")
    for kind, system in (("decisions", "bandit"), ("outcomes", "bandit"), ("demand", "shop")):
        ingest_file(settings.store, kind, folder / f"{kind}.parquet", system)
    declare_window(settings)
    return told(settings)


def declare_window(settings: Settings) -> None:
    """An iteration that learnt from rounds tells how long outcomes may take."""
    with settings.store.write() as connection:
        connection.execute(
            "insert into iterations by name select 'i' as iteration_id, 'bandit' as system, 'd' as inputs_digest, "
            "'p' as policy, ? as manifest, 'f' as folder, ? as created_at, 1 as entry",
            [json.dumps({"configuration": {}, "data": {"attribution_hours": 24, "default_reward": 0.0}}), NOW],
        )


def told(settings: Settings, alerts: Alerts = ALERTS, now: datetime = NOW, **refused: str) -> list[str]:
    with settings.store.read() as connection:
        return [f"{a.subject}: {a.about}" for a in standing(connection, alerts, refused, now)]


@pytest.mark.parametrize("seed", [0, 1])
def test_quiet_when_all_is_well(seed: int, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    well = Alerts(systems={"bandit": ALERTS.all, "shop": Limits()})
    filled(settings, tmp_path, monkeypatch, seed=seed)
    assert told(settings, well) == []


def fewer_paid(frame: pl.DataFrame, recent: np.ndarray) -> pl.DataFrame:
    return frame.with_columns(reward=pl.when(pl.Series(recent)).then(pl.col("reward") * 0.8).otherwise("reward"))


def unanswered(frame: pl.DataFrame, recent: np.ndarray) -> pl.DataFrame:
    return frame.filter(~recent | (np.arange(len(recent)) % 2 == 0))


def larger(frame: pl.DataFrame, recent: np.ndarray) -> pl.DataFrame:
    return frame.with_columns(numeric_amount=pl.col("numeric_amount") + pl.Series(recent * 1.0))


def renamed(frame: pl.DataFrame, recent: np.ndarray) -> pl.DataFrame:
    is_b1 = pl.Series(recent) & (pl.col("category_bank") == "B1")
    return frame.with_columns(category_bank=pl.when(is_b1).then(pl.lit("bank one")).otherwise("category_bank"))


def broken(frame: pl.DataFrame, _recent: np.ndarray) -> pl.DataFrame:
    return frame.with_columns(propensity=pl.when(pl.int_range(pl.len()) % 20 == 0).then(0.0).otherwise("propensity"))


@pytest.mark.parametrize(
    ("fault", "alarm"),
    [
        ({"outcomes": fewer_paid}, {"negative rate: failures"}),
        ({"outcomes": unanswered}, {"missing outcomes: outcomes", "negative rate: failures"}),
        ({"decisions": larger}, {"features: amount"}),
        ({"decisions": renamed}, {"features: bank"}),
        ({"decisions": broken}, {"quarantine: decisions", "quarantine: outcomes"}),
        ({"units": lambda weeks_ago: 1.5 if weeks_ago <= 4 else 1.0}, {"demand: units"}),
    ],
)
def test_a_fault_raises_its_own_alarm(
    fault: dict[str, Any], alarm: set[str], settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    well = Alerts(systems={"bandit": ALERTS.all, "shop": Limits()})
    filled(settings, tmp_path, monkeypatch, **fault)
    assert set(told(settings, well)) == alarm


def test_what_stops_arriving_is_missed(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(settings, tmp_path, monkeypatch)
    later = told(settings, Alerts(systems={"bandit": ALERTS.all}), NOW + timedelta(days=3))
    assert {"freshness: decisions", "freshness: outcomes"} <= set(later)
    new = Alerts(systems={"checkout": Limits(decisions_hours=1)})
    assert told(settings, new) == ["freshness: decisions"]


def test_refused_files_and_a_watch_that_stopped_are_said(settings: Settings) -> None:
    assert told(settings, **{"decisions/a.parquet": "It is truncated."}) == ["refused files: files"]
    with settings.store.write() as connection:
        alarms.keep(connection, [], NOW - timedelta(hours=3))
    assert told(settings) == ["late run: watch"]


def test_iterations_raise_alarms_until_a_person_has_acted(settings: Settings) -> None:
    good = approved(settings)
    promote(settings.store, good.iteration_id, "tester", "better")
    now = datetime.now()
    assert told(settings, Alerts(), now=now) == []
    bad = register(settings, policy(1), "worse", good.iteration_id).iteration_id
    keep(settings.store, bad, HEALTH, {"alarms": ["The action mix has collapsed: 1 %."]}, good.iteration_id)
    certify(settings, bad)
    keep(settings.store, bad, EVALUATION, evaluation(-0.05).as_json(), good.iteration_id)
    judge_iteration(settings.store, "bandit", bad, good.iteration_id, GATE, "tester")
    assert told(settings, Alerts(), now=now) == [f"generation: {bad[:12]} The action mix", f"gate: {bad[:12]}"]
    reject(settings.store, bad, "tester", "no")
    assert told(settings, Alerts(), now=now) == []
    assert told(settings, Alerts(), now=now + timedelta(days=VALID_DAYS - 1)) == [
        f"certificate: {good.iteration_id[:12]}"
    ]


def test_the_sample_file_is_read_and_slips_in_it_are_named(tmp_path: Path) -> None:
    assert read_alerts(STUDIES / "operations" / "alerts.toml").to == ()
    (tmp_path / "a.toml").write_text("[all]\nnegativ_rate = 0.1")
    with pytest.raises(UsageError, match="Did you mean 'negative_rate'"):
        read_alerts(tmp_path / "a.toml")
    (tmp_path / "a.toml").write_text("[systems.shop]\nquarantine_share = 2.0")
    with pytest.raises(UsageError, match="from 0 to 1"):
        read_alerts(tmp_path / "a.toml")
