"""Laws of the simulated world: units are conserved, nobody ships what is not there, time and gradients are true."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.inventory.dynamics import State, step
from models.inventory.feasibility import ration, sum_by_node
from models.inventory.layout import Layout, Terms, layout_of, with_terms
from models.inventory.network import Edge, Network, Node
from models.inventory.observation import Observation
from models.inventory.period import Play
from models.inventory.policies.build import build_policy
from models.inventory.policies.graph import GraphParams
from models.inventory.policies.mlp import MLPParams
from models.inventory.rollout import rollout
from models.inventory.scenarios import Scenarios
from tests.models.inventory.networks import gamma_scenarios, networks, one_store, two_level
from tests.models.inventory.scalar_simulator import play_scalar

DRAWN = settings(max_examples=150, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
PERIODS = 6


class Recorded:
    """Plays orders (batch, period, edge) that were written down beforehand; the calendar tells the period."""

    window = 0

    def __init__(self, orders: Tensor) -> None:
        self.orders = orders

    def __call__(self, layout: Layout, observation: Observation) -> Tensor:
        """The orders of this period."""
        return self.orders[:, int(observation.calendar[0, 0])]


def drawn_play(network: Network, seed: int, batch: int = 3) -> tuple[Layout, Scenarios, Recorded]:
    """Random stock, pipelines, demand and orders in float64, with whole zeros among them."""
    layout = layout_of(network, torch.float64)
    chance = np.random.default_rng(seed)

    def some(*shape: int) -> Tensor:
        return torch.from_numpy(chance.gamma(1.0, 5.0, shape) * (chance.random(shape) < 0.8))

    in_transit = some(batch, layout.places, layout.longest_lead_time)
    in_transit[:, :, -1] = 0.0  # the last slot is filled by this period's orders only
    scenarios = Scenarios(
        demand=some(batch, layout.stores, PERIODS),
        calendar=torch.arange(PERIODS, dtype=torch.float64)[:, None],
        on_hand=some(batch, layout.places),
        in_transit=in_transit,
        history=0,
    )
    return layout, scenarios, Recorded(some(batch, PERIODS, layout.edges))


def played(layout: Layout, scenarios: Scenarios, policy: Recorded) -> tuple[Tensor, list[Play]]:
    plays: list[Play] = []
    return rollout(layout, policy, scenarios, plays=plays), plays


def units(state: State) -> Tensor:
    """All units on hand and in transit, (batch,); backlogged units count as below 0."""
    return state.on_hand.sum(dim=1) + state.in_transit.sum(dim=(1, 2))


def served(layout: Layout, play: Play) -> Tensor:
    """Units that left the network with customers, (batch,): all of demand where what is unmet is owed."""
    if not layout.unmet_is_lost:
        return play.demand.sum(dim=1)
    sent = torch.zeros_like(play.before.on_hand)
    internal = layout.source < layout.places
    sent.index_add_(1, layout.source[internal], play.orders[:, internal])
    available = (play.before.on_hand - sent)[:, layout.warehouses :]
    return torch.minimum(available, play.demand).sum(dim=1)


@DRAWN
@given(networks(), SEEDS)
def test_units_are_conserved(network: Network, seed: int) -> None:
    layout, scenarios, policy = drawn_play(network, seed)
    _, plays = played(layout, scenarios, policy)
    for play in plays:
        bought = play.orders[:, layout.source >= layout.places].sum(dim=1)
        torch.testing.assert_close(units(play.after), units(play.before) + bought - served(layout, play))


@DRAWN
@given(networks(), SEEDS)
def test_whole_units_are_conserved_to_the_last_one(network: Network, seed: int) -> None:
    """Integers are exact in float64, so conservation must be an equality."""
    layout, scenarios, _ = drawn_play(network, seed)
    chance = np.random.default_rng(seed)
    state = State(scenarios.on_hand.ceil(), scenarios.in_transit.ceil())
    for period in range(PERIODS):
        orders = torch.from_numpy(chance.integers(0, 9, (scenarios.batch, layout.edges)).astype(float))
        for edge in range(layout.edges):  # one after the other, each takes no more than is still there
            if (source := int(layout.source[edge])) < layout.places:
                earlier = layout.source[:edge] == source
                still = state.on_hand[:, source].clamp(min=0) - orders[:, :edge][:, earlier].sum(dim=1)
                orders[:, edge] = torch.minimum(orders[:, edge], still)
        demand = scenarios.demand[:, :, period].ceil()
        following, cost = step(layout, state, orders, demand)
        bought = orders[:, layout.source >= layout.places].sum(dim=1)
        gone = served(layout, Play(state, orders, demand, cost, following))
        assert torch.equal(units(following), units(state) + bought - gone)
        state = following


@DRAWN
@given(networks(), SEEDS)
def test_nobody_ships_stock_that_is_not_there(network: Network, seed: int) -> None:
    layout, scenarios, policy = drawn_play(network, seed)
    docks = (~layout.keeps).nonzero().flatten()
    _, plays = played(layout, scenarios, policy)
    for period, play in enumerate(plays):
        desired = policy.orders[:, period]
        assert (play.orders >= 0).all()
        from_docks = torch.isin(layout.source, docks)
        assert (play.orders <= desired * (1 + 1e-12))[:, ~from_docks].all()
        for place in range(layout.places):
            leaving = layout.source == place
            shipped, wanted = play.orders[:, leaving].sum(dim=1), desired[:, leaving].sum(dim=1)
            available = play.before.on_hand[:, place].clamp(min=0)
            # All of what is asked, or all that is there: rationing wastes nothing either. A cross-dock keeps nothing.
            due = torch.minimum(wanted, available) if layout.keeps[place] else available
            torch.testing.assert_close(shipped, due, atol=1e-9, rtol=1e-12)
        if layout.unmet_is_lost:
            assert (play.after.on_hand >= 0).all()
        assert (play.after.in_transit >= 0).all()


def test_scarce_stock_is_shared_in_proportion() -> None:
    layout = layout_of(two_level(), torch.float64)
    on_hand = torch.tensor([[10.0, 8.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    desired = torch.tensor([[50.0, 60.0, 30.0, 10.0, 1.0, 3.0, 70.0]], dtype=torch.float64)
    feasible = ration(layout, desired, on_hand)
    assert feasible.tolist() == [[50.0, 60.0, 7.5, 2.5, 1.0, 3.0, 70.0]]


@DRAWN
@given(networks(), SEEDS)
def test_costs_are_never_negative(network: Network, seed: int) -> None:
    layout, scenarios, policy = drawn_play(network, seed)
    total, plays = played(layout, scenarios, policy)
    for period, play in enumerate(plays):
        assert min(float(part.min()) for part in (play.cost.holding, play.cost.underage, play.cost.purchase)) >= 0
        assert torch.equal(total[:, period], play.cost.total)


@DRAWN
@given(networks(), SEEDS)
def test_the_simulator_equals_the_scalar_one(network: Network, seed: int) -> None:
    layout, scenarios, policy = drawn_play(network, seed)
    total, plays = played(layout, scenarios, policy)
    ends = [(edge.source, edge.target) for edge in network.edges]
    places = [node.name for node in network.nodes if node.kind in ("warehouse", "cross_dock")]
    stores = [node.name for node in network.nodes if node.kind == "store"]
    places += stores
    for row in range(scenarios.batch):
        scalar = play_scalar(
            network,
            dict(zip(places, scenarios.on_hand[row].tolist(), strict=True)),
            {
                place: {slot + 1: quantity for slot, quantity in enumerate(scenarios.in_transit[row, index].tolist())}
                for index, place in enumerate(places)
            },
            [dict(zip(ends, orders, strict=True)) for orders in policy.orders[row].tolist()],
            [dict(zip(stores, demand, strict=True)) for demand in scenarios.demand[row].T.tolist()],
        )
        assert total[row].tolist() == pytest.approx(scalar.costs, rel=1e-9, abs=1e-9)
        for period, sent in enumerate(scalar.shipped):
            assert plays[period].orders[row].tolist() == pytest.approx([sent[end] for end in ends], rel=1e-9, abs=1e-9)
        last = plays[-1].after
        for index, place in enumerate(places):
            assert float(last.on_hand[row, index]) == pytest.approx(scalar.on_hand[place], rel=1e-9, abs=1e-9)
            for slot, quantity in enumerate(last.in_transit[row, index].tolist()):
                expected = scalar.due[place].get(PERIODS + 1 + slot, 0.0)
                assert quantity == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("params", [GraphParams(width=8, rounds=2, window=3), MLPParams(width=8, window=3)])
def test_a_batch_equals_a_loop_over_its_rows(params: GraphParams | MLPParams) -> None:
    layout = layout_of(two_level(), torch.float64)
    scenarios = gamma_scenarios(layout, batch=5, periods=8, history=3, seed=4)
    policy = build_policy(params, layout, 6.0, seed=1)
    with torch.no_grad():
        together = rollout(layout, policy, scenarios)
        alone = [rollout(layout, policy, scenarios.rows(torch.tensor([row]))) for row in range(5)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-12, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from(["lost", "backlogged"]), st.booleans())
def test_gradients_match_finite_differences(seed: int, unmet: str, graph: bool) -> None:
    layout = layout_of(two_level("lost" if unmet == "lost" else "backlogged"), torch.float64)
    scenarios = gamma_scenarios(layout, batch=2, periods=8, history=3, seed=seed)
    params = GraphParams(width=6, rounds=1, window=3) if graph else MLPParams(width=6, hidden=1, window=3)
    policy = build_policy(params, layout, 6.0, seed)
    weights = list(policy.parameters())
    starts = [weight.detach().clone() for weight in weights]
    draw = torch.Generator().manual_seed(seed)
    along = [torch.randn(weight.shape, generator=draw, dtype=torch.float64) for weight in weights]

    rollout(layout, policy, scenarios).sum().backward()
    slope = sum(float((weight.grad * direction).sum()) for weight, direction in zip(weights, along, strict=True))

    def cost_at(distance: float) -> float:
        with torch.no_grad():
            for weight, start, direction in zip(weights, starts, along, strict=True):
                weight.copy_(start + distance * direction)
            return float(rollout(layout, policy, scenarios).sum())

    reach = 1e-5
    behind, here, ahead = cost_at(-reach), cost_at(0.0), cost_at(reach)
    # Where the two sides disagree there is a kink in between, and no derivative to compare with.
    assume(abs((ahead - here) - (here - behind)) < 1e-2 * abs(ahead - behind))
    assert slope == pytest.approx((ahead - behind) / (2 * reach), rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("lead_time", [1, 2, 3, 4])
@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_an_order_serves_the_demand_one_lead_time_later(lead_time: int, offset: int) -> None:
    """Seven units are ordered in period 0 and asked for around period L; a second, slower store must not matter."""
    nodes = (
        Node("supplier", "supplier"),
        Node("store", "store", 1.0, 10.0),
        Node("slow", "store", 0.0, 1.0),
    )
    edges = (Edge("supplier", "slow", 6), Edge("supplier", "store", lead_time))
    layout = layout_of(Network("pair", "lost", nodes, edges))
    periods, wanted_in = lead_time + 3, lead_time + offset
    demand, orders = torch.zeros(1, 2, periods), torch.zeros(1, periods, 2)
    demand[0, 0, wanted_in] = 7.0
    orders[0, 0, 1] = 7.0
    calendar = torch.arange(periods, dtype=torch.float32)[:, None]
    scenarios = Scenarios(demand, calendar, torch.zeros(1, 2), torch.zeros(1, 2, 6), 0)
    costs = rollout(layout, Recorded(orders), scenarios)[0].tolist()
    expected = [0.0] * periods
    if offset < 0:  # too late: a lost sale, then stock that nobody asks for
        expected[wanted_in] = 70.0
    for period in range(lead_time, periods):
        if offset < 0 or period < wanted_in:
            expected[period] += 7.0
    assert costs == expected


def test_unmet_demand_is_owed_or_forgotten() -> None:
    for unmet, after in (("lost", 4.0), ("backlogged", 1.0)):
        layout = layout_of(one_store(1, 9.0, "lost" if unmet == "lost" else "backlogged"))
        state = State(torch.tensor([[2.0]]), torch.zeros(1, 1, 1))
        following, cost = step(layout, state, torch.tensor([[4.0]]), torch.tensor([[5.0]]))
        assert (float(following.on_hand), float(cost.underage), float(cost.holding)) == (after, 27.0, 0.0)


@pytest.mark.parametrize("params", [GraphParams(width=8, rounds=2, window=3), MLPParams(width=8, window=3, terms=True)])
def test_scenarios_on_terms_of_their_own_equal_networks_of_their_own(params: GraphParams | MLPParams) -> None:
    """Costs and lead times differ by scenario; each is played alone on a network that has them, too."""
    base = two_level()
    chance = np.random.default_rng(4)
    networks_of_their_own = [
        replace(
            base,
            nodes=tuple(replace(n, holding_cost=n.holding_cost * chance.uniform(0.5, 2)) for n in base.nodes),
            edges=tuple(
                replace(e, lead_time=3 if n == 0 else int(chance.integers(1, 4)), unit_cost=float(chance.uniform(0, 2)))
                for n, e in enumerate(base.edges)
            ),
        )
        for _ in range(4)
    ]
    layouts = [layout_of(network, torch.float64) for network in networks_of_their_own]
    terms = Terms(*(torch.cat([getattr(one, field.name) for one in layouts]) for field in fields(Terms)))
    together = with_terms(layouts[0], terms)
    scenarios = gamma_scenarios(together, batch=4, periods=9, history=3, seed=5)
    policy = build_policy(params, layouts[0], 6.0, seed=2).double()
    with torch.no_grad():
        costs = rollout(together, policy, scenarios)
        for row in range(4):
            only = torch.tensor([row])
            torch.testing.assert_close(rollout(layouts[row], policy, scenarios.rows(only)), costs[only])
            torch.testing.assert_close(rollout(together.rows(only), policy, scenarios.rows(only)), costs[only])


def test_terms_that_do_not_fit_the_pipelines_are_refused() -> None:
    layout = layout_of(two_level())
    shared = {field.name: getattr(layout, field.name) for field in fields(Terms)}
    for lead_time in (0, layout.longest_lead_time + 1):
        wrong = Terms(**{**shared, "lead_time": torch.full_like(layout.lead_time, lead_time)})
        with pytest.raises(ValueError, match="lead times must lie between 1 and 3"):
            with_terms(layout, wrong)


def test_a_cross_dock_parts_with_its_goods_also_when_nobody_asks() -> None:
    nodes = (Node("maker", "supplier"), Node("dock", "cross_dock"), Node("a", "store", 1, 9), Node("b", "store", 1, 9))
    edges = (Edge("maker", "dock", 1), Edge("dock", "a", 1), Edge("dock", "b", 1))
    layout = layout_of(Network("docked", "backlogged", nodes, edges), torch.float64)
    orders = ration(layout, torch.zeros(1, 3, dtype=torch.float64), torch.tensor([[8.0, 1.0, 1.0]]).double())
    assert orders.tolist() == [[0.0, pytest.approx(4.0), pytest.approx(4.0)]]


def test_goods_in_pieces_are_shipped_in_pieces() -> None:
    network = replace(two_level(), whole_units=True)
    layout = layout_of(network)
    desired = torch.rand(50, layout.edges, generator=torch.Generator().manual_seed(1)) * 9
    on_hand = torch.randint(0, 9, (50, layout.places), generator=torch.Generator().manual_seed(2)).float()
    orders = ration(layout, desired, on_hand)
    assert torch.equal(orders, orders.round())
    shipped = sum_by_node(layout.source, orders, layout.nodes)[:, : layout.places]
    assert (shipped <= on_hand).all()
    assert torch.equal(orders[:, layout.source >= layout.places], desired.round()[:, layout.source >= layout.places])
    assert not torch.equal(ration(layout.relaxed(), desired, on_hand), orders)
