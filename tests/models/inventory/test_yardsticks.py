"""The yardsticks are optima: what they promise is what they play, and nothing simple is better."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.inventory.layout import layout_of
from models.inventory.observation import Observation
from models.inventory.yardsticks.backlogged import backlogged_optimum, base_stock_at
from models.inventory.yardsticks.order_table import OrderTablePolicy
from models.inventory.yardsticks.value_iteration import lost_sales_optimum, poisson_pmf
from quaestor.errors import UsageError
from tests.models.inventory.networks import one_store, two_level

LUMPY = np.array([0.5, 0.1, 0.0, 0.0, 0.2, 0.2])


Rule = Callable[[tuple[int, ...]], int]
"""The order in a state, as written on the reference page: what is on hand, then what arrives in 1, 2, … periods."""


def long_run_cost(rule: Rule, lead_time: int, demand: NDArray[np.float64], underage: float) -> float:
    """What a rule costs a period when played for ever: the chain over the states it meets, solved exactly."""
    number = {(0,) * lead_time: 0}
    waiting, moves, cost = [(0,) * lead_time], [], []
    while waiting:
        state = waiting.pop()
        pipeline = (*state[1:], rule(state))
        mean = 0.0
        for units in np.flatnonzero(demand):
            left = state[0] - units
            target = (max(left, 0) + pipeline[0], *pipeline[1:])
            if target not in number:
                number[target] = len(number)
                waiting.append(target)
            moves.append((number[state], number[target], demand[units]))
            mean += demand[units] * (max(left, 0) + underage * max(-left, 0))
        cost.append((number[state], mean))
    balance = -np.eye(len(number))
    for source, target, chance in moves:
        balance[target, source] += chance
    balance[0] = 1.0  # one balance equation follows from the others; chances add up to 1 instead
    stationary = np.linalg.solve(balance, np.eye(len(number))[0])
    return float(sum(stationary[index] * mean for index, mean in cost))


def capped_base_stock(level: int, most: int) -> Rule:
    """Orders up to a level, never more than `most` at once."""
    return lambda state: min(max(level - sum(state), 0), most)


@pytest.mark.parametrize("lead_time", [1, 2, 3, 4])
@pytest.mark.parametrize("underage", [2.0, 9.0])
def test_the_table_costs_what_it_promises_and_no_simple_rule_costs_less(lead_time: int, underage: float) -> None:
    optimum = lost_sales_optimum(LUMPY, lead_time, 1.0, underage)
    assert optimum.lead_time == lead_time
    table = long_run_cost(lambda state: int(optimum.orders[state]), lead_time, LUMPY, underage)
    assert table == pytest.approx(optimum.cost, abs=1e-6)
    simple = [
        long_run_cost(capped_base_stock(level, most), lead_time, LUMPY, underage)
        for level in range(1, 5 * lead_time + 4, lead_time)
        for most in (1, 2, 3, 5)
    ]
    assert min(simple) >= optimum.cost - 1e-6
    assert min(simple) <= 1.1 * optimum.cost  # capped base stock is known to be close


def test_cost_rises_with_the_lead_time_and_with_the_underage_cost() -> None:
    demand = poisson_pmf(2.0)
    costs = np.array([[lost_sales_optimum(demand, lead, 1.0, p).cost for p in (2.0, 5.0, 12.0)] for lead in (1, 2, 3)])
    assert (np.diff(costs, axis=0) > 0).all()
    assert (np.diff(costs, axis=1) > 0).all()
    # Never ordering loses every sale; the optimum cannot be worse.
    assert (costs < 2.0 * np.array([2.0, 5.0, 12.0])).all()


def test_cost_is_linear_in_money() -> None:
    one, ten = (lost_sales_optimum(LUMPY, 2, money, 9.0 * money).cost for money in (1.0, 10.0))
    assert ten == pytest.approx(10.0 * one, abs=1e-5)


@pytest.mark.parametrize("lead_time", [1, 3])
def test_known_demand_costs_nothing_and_unprofitable_demand_is_left(lead_time: int) -> None:
    always_three = np.array([0.0, 0.0, 0.0, 1.0])
    assert lost_sales_optimum(always_three, lead_time, 1.0, 9.0).cost == pytest.approx(0.0, abs=1e-6)
    rare = np.array([0.99, 0.01])  # a unit waits 100 periods for a sale worth 9
    assert lost_sales_optimum(rare, lead_time, 1.0, 9.0).cost == pytest.approx(0.09, abs=1e-6)


def test_poisson_probabilities() -> None:
    pmf = poisson_pmf(5.0)
    units = np.arange(len(pmf))
    assert pmf[:3] == pytest.approx(np.exp(-5.0) * np.array([1.0, 5.0, 12.5]), rel=1e-12)
    assert (pmf.sum(), pmf @ units, pmf @ units**2) == pytest.approx((1.0, 5.0, 30.0), rel=1e-10)


def test_a_table_that_nobody_can_hold_is_refused_before_it_is_tried() -> None:
    with pytest.raises(UsageError, match=r"lead time of 12 there are .* Take a shorter lead time"):
        lost_sales_optimum(poisson_pmf(5.0), 12, 1.0, 9.0)


def test_problems_without_an_optimum_are_refused() -> None:
    with pytest.raises(ValueError, match="lead_time must be 1 or more, found 0"):
        lost_sales_optimum(LUMPY, 0, 1.0, 9.0)
    with pytest.raises(ValueError, match="sum to 1"):
        lost_sales_optimum(LUMPY * 0.9, 1, 1.0, 9.0)
    with pytest.raises(ValueError, match="demand is always 0"):
        lost_sales_optimum(np.array([1.0]), 1, 1.0, 9.0)
    with pytest.raises(ValueError, match="lead_time must be 1 or more, found 0"):
        backlogged_optimum(5.0, 1.6, 0, 1.0, 9.0)


def test_the_table_reads_stock_in_the_order_in_which_it_arrives() -> None:
    optimum = lost_sales_optimum(poisson_pmf(5.0), 3, 1.0, 9.0)
    layout = layout_of(one_store(3, 9.0, "lost"))
    states = [(0, 0, 0), (9, 2, 5), (9, 5, 2), (4, 0, 7), (1000, 3, 3)]
    on_hand = torch.tensor([[float(state[0])] for state in states])
    in_transit = torch.tensor([[[float(state[1]), float(state[2]), 0.0]] for state in states])
    seen = Observation(on_hand, in_transit, torch.zeros(5, 1, 0), torch.zeros(5, 0))
    orders = OrderTablePolicy(optimum)(layout, seen)
    last = optimum.orders.shape[0] - 1
    assert orders.tolist() == [[float(optimum.orders[min(state[0], last), *state[1:]])] for state in states]
    assert orders[0] > orders[1]
    assert orders[4] == 0


def test_the_table_refuses_another_network() -> None:
    table = OrderTablePolicy(lost_sales_optimum(poisson_pmf(2.0), 2, 1.0, 4.0))
    layout = layout_of(two_level())
    seen = Observation(torch.zeros(1, 5), torch.zeros(1, 5, 3), torch.zeros(1, 3, 0), torch.zeros(1, 0))
    with pytest.raises(UsageError, match="one store with one supplier 2 periods away; the network has 5 places"):
        table(layout, seen)


def test_without_clipping_the_backlogged_optimum_is_the_textbook_formula() -> None:
    """At mean 50 clipping never happens, and (h + p) φ(z) σ √(L+1) is exact."""
    for lead_time, underage in ((1, 4.0), (4, 9.0), (10, 39.0)):
        optimum = backlogged_optimum(50.0, 1.6, lead_time, 1.0, underage)
        score = NormalDist().inv_cdf(underage / (1 + underage))
        spread = 1.6 * (lead_time + 1) ** 0.5
        assert optimum.cost == pytest.approx((1 + underage) * NormalDist().pdf(score) * spread, rel=1e-6)
        assert optimum.level == pytest.approx(50.0 * (lead_time + 1) + score * spread, abs=1e-4)


def test_heavily_clipped_demand_agrees_with_drawn_demand() -> None:
    """At mean 0 half of all periods have no demand: nothing like a normal sum."""
    optimum = backlogged_optimum(0.0, 2.0, 2, 1.0, 9.0)
    chance = np.random.default_rng(0)
    total = np.maximum(chance.normal(0.0, 2.0, (400_000, 3)), 0).sum(axis=1)
    costs = np.maximum(optimum.level - total, 0) + 9.0 * np.maximum(total - optimum.level, 0)
    assert costs.mean() == pytest.approx(optimum.cost, abs=4 * costs.std() / len(costs) ** 0.5)
    assert (total <= optimum.level).mean() == pytest.approx(0.9, abs=4 * (0.09 / len(total)) ** 0.5)


def test_the_optimal_level_is_what_the_policy_orders_up_to() -> None:
    optimum = backlogged_optimum(5.0, 1.6, 4, 1.0, 9.0)
    layout = layout_of(one_store(4, 9.0, "backlogged"))
    seen = Observation(
        torch.tensor([[-3.0], [40.0]]), torch.full((2, 1, 4), 2.0), torch.zeros(2, 1, 0), torch.zeros(2, 0)
    )
    orders = base_stock_at(optimum, layout)(layout, seen).flatten().tolist()
    assert orders == [pytest.approx(optimum.level + 3.0 - 8.0, rel=1e-6), 0.0]
