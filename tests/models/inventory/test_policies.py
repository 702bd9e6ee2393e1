"""What the policies know of the world: names do not matter, units do not matter, levels are what they say."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.inventory.layout import Layout, layout_of
from models.inventory.network import Edge, Network, Node
from models.inventory.observation import Observation
from models.inventory.period import Play
from models.inventory.policies.base_stock import BaseStockParams
from models.inventory.policies.build import PolicyParams, build_policy
from models.inventory.policies.graph import GraphParams
from models.inventory.policies.mlp import MLPParams
from models.inventory.policies.newsvendor import NewsvendorParams
from models.inventory.rollout import rollout
from quaestor.errors import UsageError
from tests.models.inventory.networks import gamma_scenarios, one_store, two_level

GRAPH = GraphParams(width=8, rounds=2, window=4)
SEEDS = st.integers(0, 2**32 - 1)
DRAWN = settings(max_examples=40, deadline=None)


def observed(layout: Layout, seed: int, batch: int = 3, window: int = 4, mean: float = 30.0) -> Observation:
    """A random observation in float64, with demand well above the smallest scale."""
    chance = np.random.default_rng(seed)

    def some(*shape: int) -> Tensor:
        return torch.from_numpy(mean * chance.gamma(2.0, 0.5, shape))

    in_transit = some(batch, layout.places, layout.longest_lead_time)
    past_demand = some(batch, layout.stores, window) + mean / 5  # a few sales in every period
    return Observation(some(batch, layout.places), in_transit, past_demand, torch.from_numpy(chance.random((batch, 1))))


def ends(network: Network) -> list[tuple[str, str]]:
    return [(edge.source, edge.target) for edge in network.edges]


@DRAWN
@given(SEEDS, st.permutations(range(6)), st.permutations(range(7)))
def test_the_graph_policy_does_not_care_in_which_order_a_network_is_written(
    seed: int, nodes: list[int], edges: list[int]
) -> None:
    network = two_level()
    shuffled = replace(
        network,
        nodes=tuple(network.nodes[index] for index in nodes),
        edges=tuple(network.edges[index] for index in edges),
    )
    layout, other = layout_of(network, torch.float64), layout_of(shuffled, torch.float64)
    seen = observed(layout, seed)
    names = [place.name for place in network.places]
    places = [names.index(place.name) for place in shuffled.places]
    stores = [place - layout.warehouses for place in places[layout.warehouses :]]
    seen_otherwise = Observation(
        seen.on_hand[:, places], seen.in_transit[:, places], seen.past_demand[:, stores], seen.calendar
    )
    policy = build_policy(GRAPH, layout, 30.0, seed)
    with torch.no_grad():
        orders, orders_otherwise = policy(layout, seen), policy(other, seen_otherwise)
    columns = [ends(network).index(end) for end in ends(shuffled)]
    torch.testing.assert_close(orders_otherwise, orders[:, columns], rtol=1e-9, atol=1e-9)


@DRAWN
@given(SEEDS, st.floats(0.5, 1000.0))
@pytest.mark.parametrize(
    "params",
    [GRAPH, BaseStockParams(window=4), NewsvendorParams(window=4), NewsvendorParams(quantile="learned", window=4)],
    ids=lambda params: f"{params.kind}-{getattr(params, 'quantile', '')}",
)
def test_orders_follow_a_change_of_units(params: PolicyParams, seed: int, times: float) -> None:
    """Counting in pieces instead of dozens multiplies stock, demand and orders alike."""
    layout = layout_of(two_level(), torch.float64)
    seen = observed(layout, seed)
    converted = Observation(seen.on_hand * times, seen.in_transit * times, seen.past_demand * times, seen.calendar)
    with torch.no_grad():
        orders = build_policy(params, layout, 30.0, seed)(layout, seen)
        orders_converted = build_policy(params, layout, 30.0 * times, seed)(layout, converted)
    assert (orders > 0).any()
    torch.testing.assert_close(orders_converted, orders * times, rtol=1e-8, atol=1e-8)


def star(stores: int, lead_time: int) -> Network:
    """One warehouse and any number of stores, each with a lead time of its own up to `lead_time`."""
    nodes = [Node("supplier", "supplier"), Node("hub", "warehouse", 0.3)]
    edges = [Edge("supplier", "hub", 1)]
    for index in range(stores):
        nodes.append(Node(f"s{index}", "store", 1.0, 9.0))
        edges.append(Edge("hub", f"s{index}", 1 + index % lead_time))
    return Network("star", "lost", tuple(nodes), tuple(edges))


@pytest.mark.parametrize("stores", [1, 2, 8, 40])
def test_the_graph_policy_runs_on_networks_it_was_not_made_for(stores: int) -> None:
    policy = build_policy(GRAPH, layout_of(two_level(), torch.float64), 30.0, seed=1)
    layout = layout_of(star(stores, lead_time=2), torch.float64)
    with torch.no_grad():
        orders = policy(layout, observed(layout, seed=2, batch=5))
    assert orders.shape == (5, stores + 1)
    assert torch.isfinite(orders).all()
    assert (orders >= 0).all()


def test_equal_stores_get_equal_orders() -> None:
    layout = layout_of(star(4, lead_time=1), torch.float64)
    seen = observed(layout, seed=3)
    for part in (seen.on_hand, seen.in_transit, seen.past_demand):
        part[:, -1] = part[:, -2]
    with torch.no_grad():
        orders = build_policy(GRAPH, layout, 30.0, seed=1)(layout, seen)
    torch.testing.assert_close(orders[:, -1], orders[:, -2], rtol=1e-12, atol=0)
    assert not torch.allclose(orders[:, -2], orders[:, -3])


def test_the_graph_policy_refuses_lead_times_it_has_no_room_for() -> None:
    policy = build_policy(GRAPH, layout_of(two_level(), torch.float64), 30.0, seed=1)
    layout = layout_of(star(4, lead_time=4), torch.float64)
    with pytest.raises(UsageError, match=r"knows lead times up to 3 periods, the network has 4; train it on"):
        policy(layout, observed(layout, seed=2))


@DRAWN
@given(SEEDS)
def test_base_stock_raises_every_position_to_its_level_and_no_further(seed: int) -> None:
    layout = layout_of(two_level(), torch.float64)
    seen = observed(layout, seed, window=0)
    policy = build_policy(BaseStockParams(window=0), layout, 50.0, seed)
    with torch.no_grad():
        orders = policy(layout, seen)
        level = policy.level * torch.tensor([[75.0, 50.0, 50.0, 50.0, 50.0]], dtype=torch.float64)
    position = seen.on_hand + seen.in_transit.sum(dim=2)
    ordered = torch.zeros_like(position).index_add(1, layout.target, orders)
    torch.testing.assert_close(position + ordered, torch.maximum(level, position))


def test_newsvendor_orders_up_to_its_quantile_from_the_fastest_source() -> None:
    """Store c can wait one period for the south or three for the supplier: 2 periods of demand, quantile 11/12.2."""
    layout = layout_of(two_level(), torch.float64)
    seen = observed(layout, seed=5, batch=2)
    none = Observation(seen.on_hand * 0, seen.in_transit * 0, seen.past_demand, seen.calendar)
    orders = build_policy(NewsvendorParams(window=4), layout, 30.0, seed=1)(layout, none)
    score = NormalDist().inv_cdf(11.0 / 12.2)
    for row in range(2):
        past = seen.past_demand[row, 2].numpy()
        assert float(orders[row, 5]) == pytest.approx(2 * past.mean() + score * past.std(ddof=1) * 2**0.5, rel=1e-6)
        assert float(orders[row, 6]) == pytest.approx(0.0, abs=1e-6)


def test_newsvendor_warehouses_face_the_demand_of_their_stores() -> None:
    """b buys from its faster source, the south; so the north sees a, the south b and c, over 3 and 2 periods."""
    layout = layout_of(two_level(), torch.float64)
    seen = observed(layout, seed=5, batch=1)
    none = Observation(seen.on_hand * 0, seen.in_transit * 0, seen.past_demand, seen.calendar)
    policy = build_policy(NewsvendorParams(quantile="learned", window=4), layout, 30.0, seed=1)
    with torch.no_grad():
        policy.source_score.copy_(torch.tensor([0.0, 0.0, 0.0, -40.0, 0.0, 0.0, -40.0]))
        orders = policy(layout, none)[0]
    means = seen.past_demand[0].mean(dim=1)
    torch.testing.assert_close(orders[:2], torch.stack((3 * means[0], 2 * (means[1] + means[2]))))


@pytest.mark.parametrize("params", [GRAPH, BaseStockParams(window=4)], ids=lambda params: params.kind)
def test_an_item_that_never_sells_gets_finite_orders(params: PolicyParams) -> None:
    layout = layout_of(one_store(2, 9.0, "lost"))
    policy = build_policy(params, layout, 6.0, seed=1)
    nothing = Observation(torch.zeros(1, 1), torch.zeros(1, 1, 2), torch.zeros(1, 1, 4), torch.zeros(1, 1))
    orders = policy(layout, nothing)
    assert torch.isfinite(orders).all()
    assert (orders < 100).all()


@pytest.mark.parametrize("params", [GRAPH, MLPParams(window=4), BaseStockParams(window=4)], ids=lambda p: p.kind)
def test_a_warehouse_that_serves_nobody_orders_next_to_nothing(params: PolicyParams) -> None:
    """Beside a cross-dock and stores with two suppliers, as a network looks while somebody is still drawing it."""
    nodes = (
        Node("near", "supplier"), Node("far", "supplier"), Node("idle", "warehouse", 0.1), Node("dock", "cross_dock"),
        Node("a", "store", 1.0, 9.0), Node("b", "store", 1.0, 9.0),
    )  # fmt: skip
    edges = (
        Edge("near", "idle", 1), Edge("far", "dock", 3), Edge("dock", "a", 1), Edge("dock", "b", 2),
        Edge("near", "b", 1),
    )  # fmt: skip
    layout = layout_of(Network("awkward", "lost", nodes, edges))
    policy = build_policy(params, layout, 6.0, seed=0)
    plays: list[Play] = []
    cost = rollout(layout, policy, gamma_scenarios(layout, 3, 12, 4, seed=1), plays=plays)
    slopes = torch.autograd.grad(cost.sum(), list(policy.parameters()), allow_unused=True)
    assert all(torch.isfinite(slope).all() for slope in slopes if slope is not None)
    for play in plays:
        assert torch.isfinite(play.orders).all()
        assert (play.orders[:, 0] < 0.1).all()
