"""Several objectives at the gate: intervals of reward net of cost cover the truth, and dear gains are no gains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from quaestor.ope.interval import Interval
from quaestor.ope.objectives import ObjectiveParams
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.gate import GateParams, Stage, gate
from quaestor.registry.net_of_cost import CostSide, RealisedCosts, known_costs, net_of_cost
from quaestor.registry.off_policy import evaluate_off_policy
from tests.rounds import Bandit, bandit, greedy

FIXED = np.array([0.0, 0.2, 0.1, 0.0])
COSTS = ObjectiveParams({"a1": 0.2, "a2": 0.1}, price=1.5)
FRAUD = np.array([0.02, 0.3, 0.1, 0.05])
GATE = GateParams(effective_size=100.0, rarer_outcomes=10)


def _judged(
    found: Bandit, objective: ObjectiveParams, realised: RealisedCosts | None = None
) -> tuple[Evaluation, Evaluation, CostSide]:
    candidate, flat = greedy(found.truth, found.batch.logged.eligible), 0.9 * found.truth + 0.05
    reward = evaluate_off_policy(found.batch, candidate, found.logging, flat, "incumbent")
    return reward, *net_of_cost(reward, found.batch, candidate, found.logging, flat, objective, realised)


def _fraud(found: Bandit, seed: int) -> np.ndarray:
    draw = np.random.default_rng(1000 + seed)
    return (draw.random(len(found.batch)) < FRAUD[found.batch.logged.action]).astype(np.float64)


@pytest.mark.slow
def test_intervals_of_reward_net_of_cost_cover_the_truth() -> None:
    """Over 200 logs with costs that are declared and others that are only observed: at least 95 % less chance."""
    covered = 0
    for seed in range(200):
        found = bandit(400, seed)
        guess = np.broadcast_to(0.8 * FRAUD, found.truth.shape)
        _, net, _ = _judged(found, COSTS, RealisedCosts(_fraud(found, seed), guess))
        gain = found.truth - 1.5 * (FIXED + FRAUD)
        move = greedy(found.truth, found.batch.logged.eligible) - found.logging
        truth = (move * gain).sum(axis=1).mean()
        covered += net.difference.lower <= truth <= net.difference.upper
    assert covered >= binom.ppf(0.001, 200, 0.95)


def test_what_costs_more_than_it_earns_is_not_promoted() -> None:
    found = bandit(20_000, 0)
    move = (greedy(found.truth, found.batch.logged.eligible) - found.logging).mean(axis=0)
    dear = ObjectiveParams({f"a{int(move.argmax())}": 1.0}, price=6.0)
    reward, net, side = _judged(found, dear)
    assert gate(reward, None, (), GATE).stage is Stage.PROMOTE
    assert gate(net, None, (), GATE).stage is Stage.REJECT
    assert side.price == 6.0
    alone = net.others["reward alone"].value - 6.0 * net.others["cost alone"].value
    assert net.difference.value == pytest.approx(alone, abs=1e-12)
    assert net.others["reward alone"].value == pytest.approx(reward.difference.value, abs=1e-12)


def test_a_budget_that_is_surely_broken_is_an_alarm() -> None:
    found = bandit(20_000, 0)
    budget = ObjectiveParams(COSTS.costs, budget=0.05)
    _, net, side = _judged(found, budget)
    assert side.price > 0
    (sentence,) = side.alarms(budget)
    assert "the budget is 0.05" in sentence
    assert gate(net, None, (sentence,), GATE).stage is Stage.REJECT
    kept = Interval(0.04, 0.03, 0.049, 0.95, "normal")
    assert CostSide(1.0, kept).alarms(budget) == ()
    assert CostSide(1.0, side.cost).alarms(COSTS) == ()


def test_costs_are_found_by_event_whatever_their_order() -> None:
    found = bandit(300, 0)
    spent = _fraud(found, 0)
    order = np.random.default_rng(0).permutation(300)[:200]
    known, costs = known_costs(found.batch, replace(found.batch, reward=spent).rows(order))
    assert known.tolist() == sorted(order.tolist())
    assert (costs == spent[known]).all()
