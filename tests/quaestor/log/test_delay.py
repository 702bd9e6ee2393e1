"""Delay-corrected weights: what is known early teaches what will be known."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from quaestor.log.delay import early_batch
from quaestor.log.maturity import MaturityParams, judge, matured_batch

START = datetime(2026, 3, 1)
PARAMS = MaturityParams(attribution_hours=24, default_reward=0.0)


def _world(rounds: int, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sixty hours of rounds; successes answer at once, failures take their time, one in twenty never answers."""
    draw = np.random.default_rng(seed)
    times = pl.Series([START + timedelta(hours=float(h)) for h in np.sort(draw.random(rounds) * 60)])
    action = np.where(draw.random(rounds) < 0.5, "card", "token")
    reward = (draw.random(rounds) < np.where(action == "card", 0.5, 0.7)).astype(float)
    delay = draw.exponential(np.where(action == "card", 8.0, 2.0), rounds)
    comes = draw.random(rounds) < 0.95
    decisions = pl.DataFrame(
        {
            "system": ["w"] * rounds,
            "event_id": [f"e{n:06d}" for n in range(rounds)],
            "decided_at": times.cast(pl.Datetime("us")),
            "iteration_id": ["i"] * rounds,
            "eligible": [["card", "token"]] * rounds,
            "propensities": [[0.5, 0.5]] * rounds,
            "action": action,
            "propensity": [0.5] * rounds,
            "fallback": [False] * rounds,
            "numeric_x": draw.normal(size=rounds),
        }
    )
    waits = pl.Series((delay * 3.6e9).astype(np.int64)).cast(pl.Duration("us"))
    outcomes = pl.DataFrame(
        {
            "system": decisions["system"],
            "event_id": decisions["event_id"],
            "observed_at": decisions["decided_at"] + waits,
        }
    ).with_columns(reward=pl.Series(reward), revision=pl.lit(0))
    return decisions, outcomes.filter(pl.Series(comes))


def test_weights_remove_the_bias_of_young_rounds() -> None:
    """Over 12 worlds: the weighted mean reward of each action among open rounds is within 4 standard errors of the
    mean once closed, where leaving the unknown out, or calling it the default, is far off for the slow action."""
    as_of = START + timedelta(hours=60)
    errors: dict[str, list[float]] = {"corrected": [], "default": [], "known only": []}
    for seed in range(12):
        decisions, outcomes = _world(2000, seed)
        early = early_batch(decisions, outcomes, PARAMS, as_of)
        final = matured_batch(judge(decisions, outcomes, PARAMS, as_of + timedelta(hours=24)))
        truth = _mean(final.logged.decided_at, final.logged.action == 0, final.reward, np.ones(len(final)), as_of)
        of_card = early.batch.logged.action == 0
        times, reward = early.batch.logged.decided_at, early.batch.reward
        errors["corrected"].append(_mean(times, of_card, reward, early.weight, as_of) - truth)
        seen = ~early.batch.defaulted
        errors["known only"].append(_mean(times, of_card & seen, reward, np.ones(len(reward)), as_of) - truth)
        errors["default"].append(_mean(times, of_card, reward, np.ones(len(reward)), as_of) - truth)
    mean = {name: np.mean(found) for name, found in errors.items()}
    error = np.std(errors["corrected"]) / np.sqrt(12)
    assert abs(mean["corrected"]) < 4 * error
    assert mean["default"] < -0.05  # open rounds without an outcome counted as failures
    assert mean["known only"] > 0.01  # those that never answer left out
    assert abs(mean["corrected"]) < 0.01


def test_closed_rounds_count_one_and_nothing_is_invented() -> None:
    decisions, outcomes = _world(1500, 7)
    late = START + timedelta(days=30)
    early = early_batch(decisions, outcomes, PARAMS, late)
    final = matured_batch(judge(decisions, outcomes, PARAMS, late))
    assert early.open == 0
    assert (early.weight == 1).all()
    assert (early.batch.reward == final.reward).all()
    assert early.batch.logged.event_ids.to_list() == final.logged.event_ids.to_list()


def test_the_order_of_rows_does_not_matter() -> None:
    decisions, outcomes = _world(800, 3)
    as_of = START + timedelta(hours=50)
    one = early_batch(decisions, outcomes, PARAMS, as_of)
    other = early_batch(
        decisions.sample(fraction=1, shuffle=True, seed=1),
        outcomes.sample(fraction=1, shuffle=True, seed=2),
        PARAMS,
        as_of,
    )
    assert (one.weight == other.weight).all()
    assert (one.batch.reward == other.batch.reward).all()


def _mean(times: pl.Series, chosen: np.ndarray, reward: np.ndarray, weight: np.ndarray, as_of: datetime) -> float:
    young = ((times > as_of - timedelta(hours=24)) & (times <= as_of)).to_numpy() & chosen
    return float(np.average(reward[young], weights=weight[young]))
