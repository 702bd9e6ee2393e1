"""What each classical policy orders, and that HDPO finds the best of its family where that is known."""

from __future__ import annotations

import pytest
import torch

from models.inventory.demand_law import DemandLaw
from models.inventory.hdpo import HDPOParams, mean_cost, train
from models.inventory.instances import Instance, one_store_lost, serial
from models.inventory.layout import layout_of
from models.inventory.network import Edge, Network, Node
from models.inventory.observation import Observation
from models.inventory.policies.build import OrderModule, PolicyParams, build_policy
from models.inventory.policies.capped_base_stock import CappedBaseStockParams
from models.inventory.policies.echelon_base_stock import EchelonBaseStockParams
from models.inventory.policies.order_up_to import usual_cover
from models.inventory.policies.reorder_point import ReorderPointParams
from models.inventory.scenarios import drawn_scenarios
from models.inventory.yardsticks.clark_scarf import serial_optimum
from models.inventory.yardsticks.grid_demand import normal_on_grid, poisson_on_grid
from models.inventory.yardsticks.order_table import OrderTablePolicy
from models.inventory.yardsticks.reorder_point import reorder_optimum
from models.inventory.yardsticks.value_iteration import lost_sales_optimum, poisson_pmf
from tests.models.inventory.networks import one_store, two_level

STORE = layout_of(one_store(3, 9.0, "lost"))


def at(*positions: float) -> Observation:
    """One store with these inventory positions, half of each in transit."""
    half = torch.tensor(positions) / 2
    in_transit = torch.stack((half / 2, half / 2, torch.zeros_like(half)), dim=1)[:, None]
    return Observation(half[:, None], in_transit, torch.zeros(len(half), 1, 0), torch.zeros(len(half), 0))


def test_capped_base_stock_fills_up_to_its_level_and_never_more_than_its_cap() -> None:
    policy = build_policy(CappedBaseStockParams(window=0), STORE, 5.0, seed=0)
    policy.level.data.fill_(1.2)  # of four periods of 5 units
    policy.cap.data.fill_(1.4)
    assert policy(STORE, at(24.0, 30.0, 20.0, 17.0, 0.0)).flatten().tolist() == pytest.approx([0, 0, 4, 7, 7])


def test_a_reorder_point_orders_up_to_its_level_or_nothing() -> None:
    policy = build_policy(ReorderPointParams(window=0), STORE, 5.0, seed=0)
    policy.level.data.fill_(1.2)
    policy.gap.data.fill_(1.6)  # it reorders at 16
    orders = policy(STORE, at(30.0, 20.0, 16.1, 15.9, 0.0))
    assert orders.flatten().tolist() == pytest.approx([0, 0, 0, 8.1, 24])
    orders.sum().backward()
    assert policy.level.grad is not None
    assert policy.gap.grad is not None
    assert policy.gap.grad < 0  # a larger gap orders less often


def test_an_echelon_counts_what_is_downstream() -> None:
    layout = layout_of(two_level())
    policy = build_policy(EchelonBaseStockParams(window=0), layout, 6.0, seed=0)
    chance = torch.Generator().manual_seed(1)
    seen = Observation(
        5 * torch.rand(4, layout.places, generator=chance),
        5 * torch.rand(4, layout.places, layout.longest_lead_time, generator=chance),
        torch.zeros(4, layout.stores, 0), torch.zeros(4, 0),
    )  # fmt: skip
    on_hand = seen.on_hand.clone()
    on_hand[:, 2] += 0.5  # store a, whose only source is the warehouse north
    fuller = Observation(on_hand, seen.in_transit, seen.past_demand, seen.calendar)
    change = (policy(layout, seen) - policy(layout, fuller))[0]
    into = {place: change[layout.target == place].sum().item() for place in range(layout.places)}
    assert into == pytest.approx({0: 0.5, 1: 0.0, 2: 0.5, 3: 0.0, 4: 0.0}, abs=1e-4)


def fitted(instance: Instance, params: PolicyParams) -> OrderModule:
    """A policy trained by HDPO."""
    layout = layout_of(instance.network)
    policy = build_policy(params, layout, 5.0, seed=0)
    known, dev = (drawn_scenarios(layout, instance.demand, size, 60, 0, seed) for size, seed in ((512, 1), (256, 2)))
    train(policy, layout, known, dev, HDPOParams(epochs=14, batch=64, learning_rate=3e-2, scale_exponent=0.0), 30)
    return policy


def with_order_cost(mean: float, lead_time: int, underage: float, order_cost: float) -> Instance:
    """One store with Poisson demand in whole units, owed where unmet, whose orders have a fixed cost."""
    nodes = (Node("supplier", "supplier"), Node("store", "store", 1.0, underage, mean, mean**0.5))
    edges = (Edge("supplier", "store", lead_time, order_cost=order_cost),)
    return Instance(Network("fixed", "backlogged", nodes, edges, True), DemandLaw("poisson", (mean,)))


def reordering(instance: Instance, reorder_point: float, up_to: float) -> OrderModule:
    """The policy (s, S) of one store."""
    mean = instance.demand.mean[0]
    policy = build_policy(ReorderPointParams(window=0), layout_of(instance.network), mean, seed=0)
    policy.level.data.fill_(up_to / (instance.network.edges[0].lead_time + 1) / mean)
    policy.gap.data.fill_((up_to - reorder_point - 1e-3) / mean)
    return policy


ORDER_COSTS = pytest.mark.parametrize(
    ("mean", "lead_time", "underage", "order_cost"), [(10.0, 1, 9.0, 64.0), (6.0, 1, 4.0, 5.0), (2.0, 2, 19.0, 24.0)]
)


@ORDER_COSTS
def test_the_best_reorder_point_costs_in_the_simulator_what_its_theory_says(
    mean: float, lead_time: int, underage: float, order_cost: float
) -> None:
    instance = with_order_cost(mean, lead_time, underage, order_cost)
    layout = layout_of(instance.network)
    best = reorder_optimum(poisson_on_grid(mean), lead_time, 1.0, underage, order_cost)
    scenarios = drawn_scenarios(layout, instance.demand, 2000, 130, 0, seed=4)
    cost = mean_cost(layout, reordering(instance, best.reorder_point, best.up_to), scenarios, 30).double()
    assert cost.mean() == pytest.approx(best.cost, abs=4 * float(cost.std()) / len(cost) ** 0.5)
    rarer = mean_cost(layout, reordering(instance, best.reorder_point - 3, best.up_to), scenarios, 30).double()
    assert (rarer - cost).mean() > 0


@pytest.mark.slow
def test_the_best_reorder_point_is_learned() -> None:
    """Within 2 % of the optimum, on the same demand, from s = 6 and S = 12 instead of 10 and 18."""
    mean, lead_time, underage, order_cost = 6.0, 1, 4.0, 5.0
    instance = with_order_cost(mean, lead_time, underage, order_cost)
    layout = layout_of(instance.network)
    policy = build_policy(ReorderPointParams(window=0), layout, mean, seed=0)
    known, dev = (drawn_scenarios(layout, instance.demand, size, 45, 0, seed) for size, seed in ((512, 1), (256, 2)))
    train(policy, layout, known, dev, HDPOParams(epochs=12, batch=128, learning_rate=0.1, scale_exponent=0.0), 15)
    best = reorder_optimum(poisson_on_grid(mean), lead_time, 1.0, underage, order_cost)
    scenarios = drawn_scenarios(layout, instance.demand, 2000, 130, 0, seed=5)
    optimal = mean_cost(layout, reordering(instance, best.reorder_point, best.up_to), scenarios, 30)
    excess = (mean_cost(layout, policy, scenarios, 30) - optimal).double()
    assert excess.mean() < 0.02 * best.cost
    assert excess.mean() >= -4 * excess.std() / len(excess) ** 0.5  # none at all where the very best is learned


@pytest.mark.slow
def test_echelon_base_stock_learns_the_levels_of_clark_and_scarf() -> None:
    """Within 0.3 % of the optimum, on the same demand, from levels up to a third off."""
    instance = serial(1, 9.0)
    layout = layout_of(instance.network)
    optimum = serial_optimum(normal_on_grid(5.0, 2.0), (1, 3, 4, 2), (1.0, 0.5, 0.2, 0.1), 9.0)
    policy = fitted(instance, EchelonBaseStockParams(window=0))
    best = build_policy(EchelonBaseStockParams(window=0), layout, 5.0, seed=0)
    levels = torch.tensor([*reversed(optimum.levels[1:]), optimum.levels[0]])
    best.level.data.copy_(levels / 5.0 / usual_cover(layout)[0])
    scenarios = drawn_scenarios(layout, instance.demand, 2000, 150, 0, seed=5)
    excess = (mean_cost(layout, policy, scenarios, 60) - mean_cost(layout, best, scenarios, 60)).double()
    assert excess.mean() < 0.003 * optimum.cost
    assert excess.mean() > -4 * excess.std() / len(excess) ** 0.5


@pytest.mark.slow
def test_capped_base_stock_learns_to_be_close_to_the_optimum_with_lost_sales() -> None:
    """L = 4, p = 9: within 2 %, and no better than the best, on the same demand."""
    instance = one_store_lost(4, 9.0)
    layout = layout_of(instance.network)
    policy = fitted(instance, CappedBaseStockParams(window=0))
    optimum = lost_sales_optimum(poisson_pmf(5.0), 4, 1.0, 9.0)
    scenarios = drawn_scenarios(layout, instance.demand, 2000, 150, 0, seed=5)
    excess = (
        mean_cost(layout, policy, scenarios, 60) - mean_cost(layout, OrderTablePolicy(optimum), scenarios, 60)
    ).double()
    assert excess.mean() < 0.02 * optimum.cost
    assert excess.mean() > -4 * excess.std() / len(excess) ** 0.5
