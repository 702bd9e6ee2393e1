"""Clark and Scarf, (s, S), the newsvendor and the transshipment bound, against brute force and against each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.inventory.hdpo import mean_cost
from models.inventory.instances import serial, transshipment
from models.inventory.layout import layout_of
from models.inventory.policies.build import build_policy
from models.inventory.policies.echelon_base_stock import EchelonBaseStockParams
from models.inventory.policies.order_up_to import usual_cover
from models.inventory.scenarios import drawn_scenarios
from models.inventory.yardsticks.backlogged import backlogged_optimum
from models.inventory.yardsticks.clark_scarf import serial_optimum
from models.inventory.yardsticks.grid_demand import GridDemand, normal_on_grid, poisson_on_grid
from models.inventory.yardsticks.newsvendor import grid_newsvendor, normal_newsvendor
from models.inventory.yardsticks.reorder_point import reorder_optimum
from models.inventory.yardsticks.transshipment import transshipment_bound

LUMPY = GridDemand(1.0, np.array([0.4, 0.2, 0.0, 0.3, 0.1]))


def chances() -> st.SearchStrategy[GridDemand]:
    weights = st.lists(st.floats(0.0, 1.0), min_size=2, max_size=6).filter(lambda some: sum(some[1:]) > 0.3)
    return weights.map(lambda some: GridDemand(1.0, np.array(some) / sum(some)))


def long_run_cost(demand: GridDemand, order: dict[int, int], costs: dict[int, float], order_cost: float) -> float:
    """What ordering up to order[position] costs a period: the chain of positions, solved."""
    positions = sorted(order)
    number = {position: index for index, position in enumerate(positions)}
    balance = -np.eye(len(positions))
    paid = np.zeros(len(positions))
    for position in positions:
        after = order[position]
        paid[number[position]] = costs[after] + order_cost * (after > position)
        for units, chance in enumerate(demand.chance):
            balance[number[max(after - units, positions[0])], number[position]] += chance
    balance[0] = 1.0
    return float(np.linalg.lstsq(balance, np.eye(len(positions))[0], rcond=None)[0] @ paid)


@settings(max_examples=15, deadline=None)
@given(chances(), st.integers(0, 2), st.sampled_from([1.0, 4.0, 19.0]), st.sampled_from([0.5, 3.0, 20.0]))
def test_no_other_reorder_point_costs_less(
    demand: GridDemand, lead_time: int, underage: float, order_cost: float
) -> None:
    best = reorder_optimum(demand, lead_time, 1.0, underage, order_cost)
    total = demand.over(lead_time + 1)
    low, high = int(best.reorder_point), int(best.up_to)
    assert low < high
    positions = range(low - 14, high + 7)
    left = {position: position - total.units for position in positions}
    costs = {p: float((np.maximum(x, 0) + underage * np.maximum(-x, 0)) @ total.chance) for p, x in left.items()}

    def cost(reorder: int, up_to: int) -> float:
        return long_run_cost(demand, {p: up_to if p <= reorder else p for p in positions}, costs, order_cost)

    assert cost(low, high) == pytest.approx(best.cost, rel=1e-6)
    others = [cost(s, S) for s in range(low - 3, low + 4) for S in range(max(s + 1, high - 4), high + 5)]
    assert min(others) >= best.cost - 1e-6


def test_dear_orders_are_few_and_large_and_cheap_ones_are_a_base_stock() -> None:
    found = [reorder_optimum(poisson_on_grid(5.0), 2, 1.0, 9.0, cost) for cost in (1e-6, 5.0, 50.0)]
    gaps = [optimum.up_to - optimum.reorder_point for optimum in found]
    assert gaps[0] == 1
    assert gaps == sorted(gaps)
    assert [optimum.cost for optimum in found] == sorted(optimum.cost for optimum in found)
    assert found[0].cost == pytest.approx(serial_optimum(poisson_on_grid(5.0), [2], [1.0], 9.0).cost, rel=1e-5)


def test_a_chain_of_one_stage_is_one_store() -> None:
    for lead_time, underage in ((1, 4.0), (4, 9.0)):
        chain = serial_optimum(normal_on_grid(5.0, 1.6), [lead_time], [1.0], underage)
        store = backlogged_optimum(5.0, 1.6, lead_time, 1.0, underage)
        assert (chain.cost, chain.levels[0]) == (
            pytest.approx(store.cost, rel=1e-6),
            pytest.approx(store.level, abs=0.01),
        )


def test_a_chain_whose_upstream_holding_costs_the_same_holds_nothing_there() -> None:
    """Then stock may as well wait at the store: one store with the lead times together, less what no transit costs."""
    together = serial_optimum(normal_on_grid(5.0, 1.6), [5], [1.0], 9.0)
    parted = serial_optimum(normal_on_grid(5.0, 1.6), [2, 3], [1.0, 1.0], 9.0)
    free_waiting = serial_optimum(normal_on_grid(5.0, 1.6), [2, 3], [1.0, 0.0], 9.0)
    assert parted.cost == pytest.approx(together.cost, rel=1e-6)
    assert free_waiting.cost == pytest.approx(serial_optimum(normal_on_grid(5.0, 1.6), [2], [1.0], 9.0).cost, rel=1e-6)


def test_the_levels_of_clark_and_scarf_attain_their_cost_in_the_simulator() -> None:
    instance = serial(2, 9.0)
    layout = layout_of(instance.network)
    optimum = serial_optimum(normal_on_grid(5.0, 2.0), (2, 3, 4, 2), (1.0, 0.5, 0.2, 0.1), 9.0)
    policy = build_policy(EchelonBaseStockParams(window=0), layout, 5.0, seed=0)
    levels = torch.tensor([*reversed(optimum.levels[1:]), optimum.levels[0]])  # places: far, near, warehouse, store
    scenarios = drawn_scenarios(layout, instance.demand, 3000, 200, 0, seed=4)
    costs = {}
    for moved in (0.0, -2.5, 2.5):
        policy.level.data.copy_((levels + moved) / 5.0 / usual_cover(layout)[0])
        costs[moved] = mean_cost(layout, policy, scenarios, 60).double().numpy()
    error = costs[0.0].std() / len(costs[0.0]) ** 0.5
    assert error < 0.004 * optimum.cost
    assert costs[0.0].mean() == pytest.approx(optimum.cost, abs=4 * error)
    for moved in (-2.5, 2.5):
        dearer = costs[moved] - costs[0.0]
        assert dearer.mean() > 4 * dearer.std() / len(dearer) ** 0.5


def test_chains_without_an_optimum_are_refused() -> None:
    with pytest.raises(ValueError, match="not rise upstream"):
        serial_optimum(LUMPY, [1, 1], [1.0, 2.0], 9.0)
    with pytest.raises(ValueError, match="0 or more, found -1"):
        serial_optimum(LUMPY, [1, -1], [2.0, 1.0], 9.0)
    with pytest.raises(ValueError, match="a lead time and a holding cost"):
        serial_optimum(LUMPY, [1], [2.0, 1.0], 9.0)
    with pytest.raises(ValueError, match="order_cost must be above 0"):
        reorder_optimum(LUMPY, 1, 1.0, 9.0, 0.0)
    with pytest.raises(ValueError, match="demand is always 0"):
        reorder_optimum(GridDemand(1.0, np.ones(1)), 1, 1.0, 9.0, 5.0)


@settings(max_examples=20, deadline=None)
@given(chances(), st.sampled_from([0.3, 1.0, 9.0]))
def test_no_other_quantity_is_a_better_newsvendor(demand: GridDemand, underage: float) -> None:
    best = grid_newsvendor(demand, 1.0, underage)
    left = np.arange(0, 8)[:, None] - demand.units
    others = (np.maximum(left, 0) + underage * np.maximum(-left, 0)) @ demand.chance
    assert best.cost == pytest.approx(others.min(), abs=1e-9)
    assert others[int(best.quantity)] == pytest.approx(best.cost, abs=1e-12)


def test_a_fine_grid_is_as_good_as_the_normal() -> None:
    exact, grid = normal_newsvendor(50.0, 8.0, 0.18, 0.7), grid_newsvendor(normal_on_grid(50.0, 8.0), 0.18, 0.7)
    assert (grid.quantity, grid.cost) == (pytest.approx(exact.quantity, abs=0.02), pytest.approx(exact.cost, rel=1e-5))


def test_total_demand_adds_means_and_variances() -> None:
    for demand in (LUMPY, poisson_on_grid(3.0), normal_on_grid(2.0, 2.0)):
        variance = float(demand.units**2 @ demand.chance) - demand.mean**2
        for periods in (0, 1, 4):
            total = demand.over(periods)
            assert total.mean == pytest.approx(periods * demand.mean, abs=1e-9)
            assert total.units**2 @ total.chance - total.mean**2 == pytest.approx(periods * variance, abs=1e-8)


def test_the_transshipment_bound_is_the_page_formula_and_below_a_balanced_policy() -> None:
    """One store behind a dock is a chain without stock in between: the bound is its optimum."""
    one = transshipment_bound(np.array([[4.0]]), 3, 2, 1.0, 9.0)
    assert one == pytest.approx(backlogged_optimum(50.0, 2.0, 5, 1.0, 9.0).cost, rel=1e-5)
    instance = transshipment(3, 2, 9.0, 0.5, seed=1)
    deviation = np.array(instance.demand.deviation)
    covariance = np.outer(deviation, deviation) * (0.5 + 0.5 * np.eye(3))
    bound = transshipment_bound(covariance, 3, 2, 1.0, 9.0)
    by_hand = (3 * covariance.sum() + 3 * deviation.sum() ** 2) ** 0.5 * 10 * 0.17549833193 / 3
    assert bound == pytest.approx(by_hand, rel=1e-6)
    layout = layout_of(instance.network)
    policy = build_policy(EchelonBaseStockParams(window=0), layout, float(np.mean(instance.demand.mean)), seed=0)
    costs = mean_cost(layout, policy, drawn_scenarios(layout, instance.demand, 500, 100, 0, seed=4), 40)
    assert costs.mean() > bound
