"""What steadies generations: memory that ends at a break, shared traffic, alarms, young rounds that teach."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from models.payments.alarms import AlarmParams, by_iteration, generation_health, negative_rates
from models.payments.deploy import deploy
from models.payments.exploration.falcon import Falcon
from models.payments.exploration.greedy import Greedy
from models.payments.generations import Deployed, GenerationParams, _log, play
from models.payments.memory import Memory, fitting_memory, memories
from models.payments.oracles.additive import AdditiveParams
from models.payments.oracles.additive_fit import fit_additive
from models.payments.oracles.oracle import TrainingSet, undescribed
from models.payments.pooling import pool
from models.payments.refit import RefitParams, refit
from models.payments.windows import window
from models.payments.world import ACTIONS, PaymentsWorld, WorldParams, decision_log
from quaestor.export.encoding import CategoryFeature, Encoded, Features
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.log.delay import early_batch
from quaestor.log.maturity import MaturityParams, judge, matured_batch

MATURITY = MaturityParams(attribution_hours=72, default_reward=0.0)
REFIT = RefitParams(default_action="none", oracle=AdditiveParams(terms=0), exploration=Falcon())
PARAMS = GenerationParams(REFIT, MATURITY, generations=3, rounds=6000, memory=4)


@pytest.mark.slow
def test_a_break_is_seen_where_it_is_and_only_there() -> None:
    """Four windows of 30,000 payments, 150 hours each; issuers change before the last, or not at all. What did not
    change is still learned from all of them: that predicts the newest window better than its rounds alone."""
    params, found = replace(PARAMS, rounds=30_000), []
    for break_on_day in (None, 3 * 6.25):
        world = PaymentsWorld(WorldParams(seed=2, break_on_day=break_on_day))
        windows = [window(_log(world, params, Deployed(), number), REFIT.held_out) for number in range(4)]
        found.append(fitting_memory(windows, Memory(3), 4, REFIT))
    assert found == [Memory(4), Memory(4, recent=1)]
    # Four windows, of which the last is new: not knowing what was believed before finds the same.
    assert fitting_memory(windows, None, 4, REFIT) == Memory(4, recent=1)
    changed_at = found[1].changed_at(windows)
    assert changed_at == windows[-1].batch.logged.decided_at.min()
    fresh = world.payments(20_000, 4 * 30_000, "fresh")
    shares = []
    whole = pool([each.batch for each in windows])
    for batch, since in ((whole, None), (windows[-1].batch, None), (whole, changed_at)):
        made = refit(batch, replace(REFIT, exploration=Greedy()), 0.0, "salt", changed_at=since)
        probabilities = deploy(PaymentsPolicy(made.graph, made.spec), fresh).probabilities
        shares.append(world.share_of_gap(fresh, probabilities))
    assert shares[2] > max(shares[:2])


def test_memories_that_a_generation_may_choose_from() -> None:
    whole, now = [Memory(5)], [[Memory(5, 1)], [Memory(1)]]
    assert memories(1, Memory(0)) == [[Memory(1)]]
    assert memories(5, Memory(4)) == [whole, *now]
    assert memories(5, Memory(5, 4)) == [whole, *now]  # what lay before the change has left
    assert memories(5, Memory(4, 2)) == [[Memory(5, 3)], whole, now[0], [Memory(3)], now[1]]
    assert memories(5, Memory(2)) == [[Memory(3)], [Memory(5, 3)], whole, *now]  # what was forgotten may be remembered
    assert memories(3, None) == [[Memory(3)], [Memory(3, 1), Memory(3, 2)], [Memory(1), Memory(2)]]


def test_what_has_changed_is_told_apart_from_what_lasts() -> None:
    """One category changes its effects, the other keeps them: with few rounds since, effects of their own for what
    changed predict better than all rounds alike and than the recent ones alone."""
    draw, fixed = np.random.default_rng(0), np.random.default_rng(1)
    count, since = 12_000, 10_500
    level = draw.integers(0, 30, (count, 2))
    effects = fixed.normal(0, 0.9, (3, 30, 3))
    late = np.arange(count) >= since
    logit = 0.3 + effects[0][level[:, 0]] + np.where(late[:, None], effects[1][level[:, 1]], effects[2][level[:, 1]])
    truth = 1 / (1 + np.exp(-logit))
    action = draw.integers(0, 3, count)
    reward = (draw.random(count) < truth[np.arange(count), action]).astype(np.float64)
    features = Features((), tuple(CategoryFeature(f"c{k}", tuple(f"L{n:02d}" for n in range(30))) for k in range(2)))
    contexts = Encoded(np.zeros((count, 0), dtype=np.float32), level + 1)
    whole = TrainingSet(features, contexts, action, reward, undescribed(3))
    newest = np.flatnonzero(late)
    alone = TrainingSet(features, contexts.rows(newest), action[newest], reward[newest], undescribed(3))
    errors = [
        np.square(fit_additive(AdditiveParams(terms=0), training, None).predict(contexts) - truth)[late].mean()
        for training in (replace(whole, recent=late), whole, alone)
    ]
    assert errors[0] < 0.8 * min(errors[1:])


def test_pooled_windows_keep_their_own_propensities() -> None:
    world = PaymentsWorld(WorldParams(seed=1))
    one, two = (_log(world, PARAMS, Deployed(), number) for number in (0, 1))
    both = pool([one, two])
    assert len(both) == len(one) + len(two)
    assert (both.logged.propensity == np.concatenate((one.logged.propensity, two.logged.propensity))).all()
    assert (both.logged.eligible[len(one) :] == two.logged.eligible).all()


def test_traffic_is_shared_and_a_payment_always_meets_the_same_policy() -> None:
    world = PaymentsWorld(WorldParams(seed=3))
    batch = _log(world, PARAMS, Deployed(), 0)
    policies = []
    for salt in ("one", "two"):
        made = refit(batch, REFIT, 0.0, salt)
        policies.append(PaymentsPolicy(made.graph, made.spec))
    deployed = Deployed().joined_by(policies[0], 1.0).joined_by(policies[1], 0.3)
    assert [share for share, _ in deployed.policies] == pytest.approx([0.7, 0.3])
    payments = world.payments(4000, 50_000, "shared")
    probabilities, action = deployed.decide(payments)
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert payments.eligible[np.arange(4000), action].all()
    again = deployed.decide(payments)
    assert (again[1] == action).all()
    assert len(deployed.joined_by(policies[0], 0.99).policies) == 1  # what decides hardly anything is withdrawn


def test_alarms_speak_of_failures_and_of_collapse() -> None:
    world = PaymentsWorld(WorldParams(seed=4))
    first, second = (_log(world, PARAMS, Deployed(), number) for number in (0, 1))
    worse = replace(second, reward=second.reward * 0.5)
    rates = negative_rates([first, worse])
    assert rates is not None
    assert rates[1] > rates[0] + 0.2
    always = np.eye(len(ACTIONS))[np.full(len(first), ACTIONS.index("none"))]
    health = generation_health(first.logged, always, always, rates)
    found = " ".join(health.alarms(AlarmParams()))
    assert "Failures went from" in found
    assert "collapsed" in found
    assert "with probability 0.0e+00 only" in found
    assert [len(part) for part in by_iteration(pool([first, second]))] == [len(first), len(second)]


def test_rounds_too_young_teach_without_bias() -> None:
    """In the world of delays, with half of the rounds still open: the weighted oracle predicts three_ds, whose answers
    are slowest, within 2 points of what closed rounds say; counting the unanswered as failures is far lower."""
    world = PaymentsWorld(WorldParams(seed=5, delay_hours=20.0))
    payments = world.payments(30_000, 0, "young")
    probabilities = payments.eligible / payments.eligible.sum(axis=1, keepdims=True)
    action = (probabilities.cumsum(axis=1) < np.random.default_rng(0).random((30_000, 1))).sum(axis=1)
    naive = pl.col("decided_at").dt.replace_time_zone(None)
    decisions = decision_log(payments, probabilities, action, "w", "uniform").with_columns(
        naive, fallback=pl.lit(False)
    )
    outcomes = world.outcomes(payments, action, "w").with_columns(
        pl.col("observed_at").dt.replace_time_zone(None), revision=pl.lit(0)
    )
    newest = decisions["decided_at"].max()
    assert newest is not None
    closed = matured_batch(judge(decisions, outcomes, MATURITY, newest + timedelta(hours=72)))  # type: ignore[operator]
    early = early_batch(decisions, outcomes, MATURITY, newest)  # type: ignore[arg-type]
    assert early.open > 10_000
    place = ACTIONS.index("three_ds")

    def of_three_ds(reward: np.ndarray, taken: np.ndarray, weight: np.ndarray) -> float:
        return float(np.average(reward[taken == place], weights=weight[taken == place]))

    truth = of_three_ds(closed.reward, closed.logged.action, np.ones(len(closed)))
    corrected = of_three_ds(early.batch.reward, early.batch.logged.action, early.weight)
    naively = of_three_ds(early.batch.reward, early.batch.logged.action, np.ones(len(early.batch)))
    assert abs(corrected - truth) < 0.02
    assert naively < truth - 0.05


@pytest.mark.slow
def test_a_generation_repeats_itself() -> None:
    world = PaymentsWorld(WorldParams(seed=6))
    params = replace(PARAMS, adaptive=True, warm=True, gate=True, trust=0.5)
    first, second = (list(play(world, params)) for _ in range(2))
    assert first == second
    assert [generation.memory for generation in first] == [1, 2, 3]
