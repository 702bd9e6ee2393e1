"""Costs and budgets: the curve is monotone, a budget is met at the least price, and a policy keeps to it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.payments.exploration.falcon import Falcon
from models.payments.exploration.greedy import Greedy
from models.payments.exploration.rule import Beliefs
from models.payments.exploration.tuning import Tuned, most_exploring
from models.payments.oracles.additive import AdditiveParams
from models.payments.refit import RefitParams, cost_predictions, refit
from models.payments.trade_off import trade_off_curve
from quaestor.errors import UsageError
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.log.batch import MaturedBatch
from quaestor.ope.greedy import best_eligible
from quaestor.ope.objectives import ObjectiveParams, price_of, trade_off
from quaestor.registry.off_policy import evaluate_off_policy
from tests.rounds import bandit, greedy


@settings(max_examples=60)
@given(st.integers(0, 10_000))
def test_a_higher_price_never_costs_more_nor_earns_more(seed: int) -> None:
    draw = np.random.default_rng(seed)
    reward, cost = draw.random((40, 4)), draw.random(4)
    eligible = draw.random((40, 4)) < 0.7
    eligible[:, 0] = True
    curve = trade_off(reward, cost, eligible, np.linspace(0, 3, 7))
    assert all(a.cost >= b.cost - 1e-12 and a.reward >= b.reward - 1e-12 for a, b in itertools.pairwise(curve))


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.floats(0.05, 0.95))
def test_a_budget_is_met_at_the_least_price(seed: int, part: float) -> None:
    draw = np.random.default_rng(seed)
    reward, cost = draw.random((60, 3)), np.array([0.0, 0.4, 1.0])
    everyone = np.ones((60, 3), dtype=np.bool_)
    free = trade_off(reward, cost, everyone, np.zeros(1))[0].cost
    price = price_of(reward, cost, everyone, part * free)
    at, below = trade_off(reward, cost, everyone, np.array([price, price * (1 - 1e-6)]))
    assert at.cost <= part * free
    assert price == 0 or below.cost > part * free


def test_a_budget_that_nothing_meets_is_a_sentence() -> None:
    with pytest.raises(UsageError, match=r"cheapest eligible actions cost 0\.5"):
        price_of(np.ones((2, 1)), np.array([0.5]), np.ones((2, 1), dtype=np.bool_), 0.1)


def test_a_policy_keeps_to_its_budget_and_still_predicts_rewards() -> None:
    batch = bandit(6000, 0).batch
    oracle, costs = AdditiveParams(terms=0), {"a1": 1.0, "a2": 0.5}
    eligible = batch.logged.eligible
    spent, policies = [], []
    for objective in (None, ObjectiveParams(costs, budget=0.1)):
        made = refit(batch, RefitParams("a0", oracle=oracle, exploration=Greedy(), objective=objective), 0.0, "salt")
        policy = PaymentsPolicy(made.graph, made.spec)
        contexts = policy.encode(batch.logged.context)
        chosen = policy.choose(contexts, eligible, batch.logged.event_ids.to_list()).probabilities
        spent.append(float((chosen @ np.array([0.0, 1.0, 0.5, 0.0])).mean()))
        policies.append(policy.scores(contexts))
    assert spent[0] > 0.2
    least = np.where(eligible, np.array([0.0, 1.0, 0.5, 0.0]), np.inf).min(axis=1).mean()
    assert least < spent[1] < 0.115
    assert (policies[0] == policies[1]).all()
    with pytest.raises(UsageError, match="No action 'a7' to cost anything"):
        refit(batch, RefitParams("a0", oracle=oracle, objective=ObjectiveParams({"a7": 1.0})), 0.0, "salt")


@pytest.mark.parametrize("kind", ["inverse_gap", "fast_inverse_gap", "softmax", "epsilon_greedy"])
def test_exploration_is_bought_as_far_as_its_cost_allows(kind: Any) -> None:
    """A free budget buys the most exploration, none the sharpest rule whose value is the best on these rounds; grids
    are in order of falling exploration."""
    found = bandit(20_000, 1)
    beliefs, rules = Beliefs(found.truth), Tuned(rule=kind).rules()
    taken = [rule.probabilities(beliefs, found.batch.logged.eligible).max(axis=1).mean() for rule in rules]
    assert taken == sorted(taken)
    rule, values = most_exploring(rules, found.batch, beliefs, cost=1.0)
    assert rule == rules[0]
    assert values[0] < values[-1]
    sharp, _ = most_exploring(rules, found.batch, beliefs, cost=0.0)
    assert rules.index(sharp) > 0


def test_a_tuned_rule_is_chosen_in_a_refit() -> None:
    found = bandit(6000, 1)
    oracle, graphs = AdditiveParams(terms=0), set()
    for exploration in (Tuned(cost=0.01), Tuned(rule="softmax", cost=0.01), Tuned(rule="softmax", cost=1.0), Falcon()):
        params = RefitParams("a0", oracle=oracle, exploration=exploration)
        graphs.add(refit(found.batch, params, 0.0, "s").graph)
    assert len(graphs) == 4


def test_the_curve_falls_with_the_price_and_starts_at_the_greedy_policys_value() -> None:
    rounds = bandit(1500, 3)
    batch, truth = rounds.batch, rounds.truth
    objective = ObjectiveParams({"a0": 0.3, "a1": 0.1, "gone": 9.0})
    curve = trade_off_curve(batch, greedy(truth, batch.logged.eligible), rounds.logging, truth, objective)
    costs = [point.cost.value for point in curve.points]
    assert curve.points[0].price == 0
    assert all(after <= before + 1e-12 for before, after in itertools.pairwise(costs)), (
        "cost never rises with its price"
    )
    whole = evaluate_off_policy(batch, greedy(truth, batch.logged.eligible, 0.0), rounds.logging, truth, "incumbent")
    assert curve.points[0].reward == whole.candidate
    assert curve.incumbent.reward == whole.incumbent
    assert curve.points[-1].cost.value == pytest.approx(
        np.where(batch.logged.eligible, [0.3, 0.1, 0, 0], np.inf).min(axis=1).mean()
    )


def test_a_fraud_budget_is_kept_by_an_oracle_of_costs() -> None:
    """Fraud follows the action and the context; its budget is kept on fresh rounds, whose truth is known, at less loss
    of reward than the cheapest action alone would mean."""
    found, fresh = bandit(20_000, 0), bandit(20_000, 1)

    def fraud(batch: MaturedBatch) -> NDArray[np.float64]:
        level = batch.logged.context["category_level"].to_numpy()
        return np.where(level == "L1", 0.4, 0.05)[:, None] * np.array([0.1, 1.0, 0.6, 0.3])

    draw, rounds = np.random.default_rng(3), np.arange(20_000)
    happened = (draw.random(20_000) < fraud(found.batch)[rounds, found.batch.logged.action]).astype(np.float64)
    costs = replace(found.batch, reward=happened)
    spent, earned = [], []
    for objective in (None, ObjectiveParams(cost_system="fraud", budget=0.05)):
        params = RefitParams("a0", oracle=AdditiveParams(terms=0), exploration=Greedy(), objective=objective)
        made = refit(found.batch, params, 0.0, "salt", costs=None if objective is None else costs)
        policy = PaymentsPolicy(made.graph, made.spec)
        contexts = policy.encode(fresh.batch.logged.context)
        chosen = policy.choose(contexts, fresh.batch.logged.eligible, fresh.batch.logged.event_ids.to_list())
        spent.append(float((chosen.probabilities * fraud(fresh.batch)).sum(axis=1).mean()))
        earned.append(float((chosen.probabilities * fresh.truth).sum(axis=1).mean()))
    assert spent[0] > 0.06
    assert spent[1] == pytest.approx(0.05, abs=0.006)
    cheapest = best_eligible(-fraud(fresh.batch), fresh.batch.logged.eligible)
    assert earned[0] >= earned[1] > float((cheapest * fresh.truth).sum(axis=1).mean())
    curve = trade_off_curve(
        fresh.batch,
        fresh.logging,
        fresh.logging,
        fresh.truth,
        ObjectiveParams(cost_system="fraud"),
        predicted_cost=cost_predictions(costs, fresh.batch.logged, made.spec.features, params),
    )
    assert all(a.cost.value >= b.cost.value - 1e-12 for a, b in itertools.pairwise(curve.points))
    assert curve.candidate.cost.value == pytest.approx(
        float((fresh.logging * fraud(fresh.batch)).sum(1).mean()), abs=0.01
    )
