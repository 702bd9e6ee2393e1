"""Which rounds teach, and that late, repeated or shuffled feedback gives the same training set."""

from __future__ import annotations

import random
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quaestor.errors import UsageError
from quaestor.log.manifest import training_manifest
from quaestor.log.maturity import EXPIRED, MATURED, PENDING, MaturityParams, judge, matured_batch
from tests.quaestor.events import START, decision, outcome

WINDOW = MaturityParams(attribution_hours=24, default_reward=0.0)
AS_OF = (START + timedelta(days=3)).replace(tzinfo=None)


def _decisions(rows: list[dict]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return frame.with_columns(pl.col("decided_at").dt.replace_time_zone(None), fallback=pl.lit(False))


def _outcomes(rows: list[dict]) -> pl.DataFrame:
    frame = pl.DataFrame([{"revision": 0, **row} for row in rows], infer_schema_length=None)
    return frame.with_columns(pl.col("observed_at").dt.replace_time_zone(None))


def _status(hours: float | None, as_of_hours: float, **changes: object) -> tuple[str, float, bool]:
    """Status, reward and default flag of one decision whose outcome (reward 1) comes after so many hours."""
    rows = [outcome(0, hours=999, reward=1.0, event_id="other")]
    if hours is not None:
        rows.append(outcome(0, hours=hours, reward=1.0, **changes))
    as_of = START.replace(tzinfo=None) + timedelta(hours=as_of_hours)
    judged = judge(_decisions([decision(0)]), _outcomes(rows), WINDOW, as_of)
    return judged.select("status", "reward", "defaulted").row(0)


@pytest.mark.parametrize(
    ("hours", "as_of", "expected"),
    [
        (1, 30, (MATURED, 1.0, False)),  # in time
        (24, 24, (MATURED, 1.0, False)),  # on the boundary, which still counts
        (24.001, 48, (EXPIRED, 0.0, True)),  # late
        (None, 48, (EXPIRED, 0.0, True)),  # never
        (1, 12, (PENDING, 1.0, False)),  # early, but the window is open
        (None, 12, (PENDING, 0.0, True)),
        (20, 12, (PENDING, 0.0, True)),  # not known yet at this moment
    ],
)
def test_the_joiner(hours: float | None, as_of: float, expected: tuple[str, float, bool]) -> None:
    assert _status(hours, as_of) == expected


def test_a_decision_after_the_moment_does_not_exist_yet() -> None:
    judged = judge(
        _decisions([decision(0)]), _outcomes([outcome(0)]), WINDOW, (START - timedelta(hours=1)).replace(tzinfo=None)
    )
    assert judged.is_empty()


def test_a_correction_in_time_replaces_and_a_late_one_does_not() -> None:
    first = outcome(0, hours=1, reward=1.0)
    for hours, expected in ((2, 0.0), (30, 1.0)):
        corrected = {**outcome(0, hours=hours, reward=0.0), "revision": 1}
        judged = judge(_decisions([decision(0)]), _outcomes([corrected, first]), WINDOW, AS_OF)
        assert judged["reward"].to_list() == [expected]


def test_only_closed_rounds_teach_and_each_once() -> None:
    rows = [decision(n) for n in range(0, 4000, 40)]
    as_of = (START + timedelta(minutes=3000)).replace(tzinfo=None)
    judged = judge(_decisions(rows), _outcomes([outcome(n) for n in range(0, 4000, 80)]), WINDOW, as_of)
    batch = matured_batch(judged)
    closed = [row for row in rows if row["decided_at"] + timedelta(hours=24) <= START + timedelta(minutes=3000)]
    assert batch.logged.event_ids.to_list() == sorted(row["event_id"] for row in closed)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_order_and_repetition_do_not_change_the_training_set(seed: int) -> None:
    chance = random.Random(seed)
    rows = [decision(n) for n in range(60)]
    found = [outcome(n, hours=chance.uniform(0, 40)) for n in range(60) if chance.random() < 0.7] or [outcome(0)]
    repeated = chance.sample(found * 2, 2 * len(found))
    plain = judge(_decisions(rows), _outcomes(found), WINDOW, AS_OF)
    shuffled = judge(_decisions(chance.sample(rows * 2, 120)), _outcomes(repeated), WINDOW, AS_OF)
    first, second = (training_manifest(matured_batch(judged), judged, WINDOW, AS_OF) for judged in (plain, shuffled))
    assert first == second


def test_a_late_correction_makes_another_training_set() -> None:
    rows, found = [decision(n) for n in range(5)], [outcome(n) for n in range(5)]
    corrected = [*found, {**outcome(2, hours=3, reward=1.0 - found[2]["reward"]), "revision": 1}]
    digests = [
        training_manifest(matured_batch(judged), judged, WINDOW, AS_OF).digest
        for judged in (judge(_decisions(rows), _outcomes(o), WINDOW, AS_OF) for o in (found, corrected))
    ]
    assert digests[0] != digests[1]


def test_the_manifest_counts_what_is_there() -> None:
    rows = [decision(n) for n in range(100)]
    judged = judge(_decisions(rows), _outcomes([outcome(n, hours=1) for n in range(80)]), WINDOW, AS_OF)
    manifest = training_manifest(matured_batch(judged), judged, WINDOW, AS_OF)
    assert manifest.rounds == 100
    assert manifest.statuses == {EXPIRED: 20, MATURED: 80}
    assert manifest.defaulted_share == 0.2
    assert manifest.negative_rate == 0.6
    assert manifest.actions == {"card": 25, "token": 75}
    assert sum(manifest.propensity_histogram) == 100
    weights = np.where(np.arange(100) % 4, 0.5 / 0.75, 0.5 / 0.25)
    assert manifest.effective_size == pytest.approx(weights.sum() ** 2 / np.square(weights).sum())


def test_a_fallback_round_never_teaches() -> None:
    frame = _decisions([decision(0), decision(1)]).with_columns(fallback=pl.Series([True, False]))
    judged = judge(frame, _outcomes([outcome(0), outcome(1)]), WINDOW, AS_OF)
    batch = matured_batch(judged)
    assert batch.logged.event_ids.to_list() == ["e00001"]
    assert training_manifest(batch, judged, WINDOW, AS_OF).fallbacks == 1


def test_nothing_matured_is_a_sentence() -> None:
    judged = judge(_decisions([decision(0)]), _outcomes([outcome(0)]), WINDOW, START.replace(tzinfo=None))
    with pytest.raises(UsageError, match="No round has matured"):
        matured_batch(judged)
