"""Nobody beats the clairvoyant, and with one store it orders just in time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.inventory.layout import Layout, layout_of
from models.inventory.network import Edge, Network, Node
from models.inventory.observation import Observation
from models.inventory.rollout import rollout
from models.inventory.scenarios import Scenarios, scenarios_from_demand
from models.inventory.yardsticks.clairvoyant import clairvoyant_cost
from tests.models.inventory.networks import gamma_scenarios, networks, one_store


class Whims:
    """Orders by chance: a policy of no merit, which may be lucky."""

    window = 0

    def __init__(self, seed: int) -> None:
        self._chance = torch.Generator().manual_seed(seed)

    def __call__(self, layout: Layout, observation: Observation) -> Tensor:
        return 12 * torch.rand(len(observation.on_hand), layout.edges, generator=self._chance) ** 2


@settings(max_examples=25, deadline=None)
@given(networks(), st.integers(0, 2**31), st.integers(0, 4))
def test_no_orders_cost_less_on_any_network(network: Network, seed: int, warmup: int) -> None:
    layout = layout_of(network)
    scenarios = gamma_scenarios(layout, batch=2, periods=10, history=0, seed=seed)
    best = clairvoyant_cost(layout, scenarios, warmup)
    costs = rollout(layout, Whims(seed), scenarios)[:, warmup:].mean(dim=1) / layout.stores
    assert (best <= costs + 1e-3).all()


def just_in_time(demand: np.ndarray, opening: np.ndarray, lead_time: int, underage: float) -> float:
    """Lost sales, one source, holding costs 1: what the opening stock leaves and misses before any order arrives,
    then what is left of it; each order brings the missing part of one period's demand."""
    stock, cost = 0.0, 0.0
    for period, asked in enumerate(demand):
        stock += opening[period] if period < len(opening) else 0.0
        missing = max(asked - stock, 0.0)
        stock = max(stock - asked, 0.0)
        cost += stock + (underage * missing if period < lead_time else 0.0)
    return cost / len(demand)


@pytest.mark.parametrize("lead_time", [1, 3])
def test_one_store_orders_just_in_time(lead_time: int) -> None:
    layout = layout_of(one_store(lead_time, 9.0, "lost"))
    scenarios = gamma_scenarios(layout, batch=5, periods=15, history=0, seed=2)
    best = clairvoyant_cost(layout, scenarios, 0)
    for row in range(5):
        opening = np.concatenate((scenarios.on_hand[row].numpy(), scenarios.in_transit[row, 0].numpy()))
        expected = just_in_time(scenarios.demand[row, 0].numpy(), opening, lead_time, 9.0)
        assert float(best[row]) == pytest.approx(expected, rel=1e-5)
    assert clairvoyant_cost(layout, scenarios, 12)[0] <= best[0] + 1e-6  # the opening stock is gone, all is in time


def test_backlogged_demand_is_paid_until_it_is_met() -> None:
    """Nothing arrives before period 2: 3 + 6 owed, and a unit of opening stock cannot be."""
    layout = layout_of(one_store(2, 5.0, "backlogged"))
    scenarios = empty(layout, [[3.0, 3.0, 3.0, 3.0]])
    assert float(clairvoyant_cost(layout, scenarios, 0)) == pytest.approx(5.0 * (3 + 6) / 4)


def test_buying_is_left_where_it_costs_more_than_missing() -> None:
    nodes = (Node("supplier", "supplier"), Node("store", "store", 1.0, 2.0))
    missed, bought = 2.0 * 4.0, 1.0 * 4.0
    for unit_cost, expected in ((1.0, (missed + 3 * bought) / 4), (3.0, missed)):
        layout = layout_of(Network("dear", "lost", nodes, (Edge("supplier", "store", 1, unit_cost),)))
        cost = float(clairvoyant_cost(layout, empty(layout, [[4.0, 4.0, 4.0, 4.0]]), 0))
        assert cost == pytest.approx(expected)


def test_a_cross_dock_keeps_nothing() -> None:
    """Six units must be shared at once: two stores want three in turn, and the second holds them for a period."""
    nodes = (
        Node("supplier", "supplier"), Node("dock", "cross_dock"),
        Node("a", "store", 1.0, 9.0), Node("b", "store", 1.0, 9.0),
    )  # fmt: skip
    edges = (Edge("supplier", "dock", 1), Edge("dock", "a", 1), Edge("dock", "b", 1))
    layout = layout_of(Network("dock", "lost", nodes, edges))
    scenarios = empty(layout, [[0.0, 3.0, 0.0], [0.0, 0.0, 3.0]])
    held = Scenarios(
        scenarios.demand, scenarios.calendar, torch.tensor([[6.0, 0.0, 0.0]]), scenarios.in_transit, scenarios.history
    )
    assert float(clairvoyant_cost(layout, held, 0)) == pytest.approx(3.0 / 3 / 2)


def empty(layout: Layout, demand: list[list[float]]) -> Scenarios:
    """One scenario of demand (store, period) from no stock at all."""
    scenarios = scenarios_from_demand(layout, np.array([demand]), np.zeros((len(demand[0]), 0)), 0, seed=0)
    return Scenarios(
        scenarios.demand, scenarios.calendar, torch.zeros_like(scenarios.on_hand),
        torch.zeros_like(scenarios.in_transit), 0,
    )  # fmt: skip
