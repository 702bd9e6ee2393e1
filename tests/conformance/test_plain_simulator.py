"""The simulator in numpy plays any network as the differentiable one does."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.inventory_evidence import own_terms
from models.inventory.feasibility import ration
from models.inventory.graph_export import inventory_graph
from models.inventory.layout import Layout, layout_of, terms_of, with_terms
from models.inventory.network import Network
from models.inventory.observation import Observation
from models.inventory.period import Play
from models.inventory.policies.base_stock import BaseStockParams
from models.inventory.policies.build import PolicyParams, build_policy
from models.inventory.policies.graph import GraphParams
from models.inventory.rollout import rollout
from models.inventory.scenarios import Scenarios
from quaestor.errors import UsageError
from quaestor.export.inventory_policy import InventoryPolicy
from quaestor.export.spec import InventorySpec
from quaestor.simulation.figures import CAUSES, cost, costs_by_cause, service_level
from quaestor.simulation.network import PlainNetwork, Terms, on_own_terms, on_terms, plain_network
from quaestor.simulation.period import Stock
from quaestor.simulation.play import Played, orders_beside, play, play_policy
from quaestor.simulation.scenarios import PlainScenarios, scenarios_from, scenarios_json
from tests.models.inventory.networks import gamma_scenarios, networks, two_level

HISTORY, WARMUP = 4, 3


class Wishes:
    """An order policy that asks for what was drawn beforehand, whatever it sees."""

    window = 0

    def __init__(self, desired: torch.Tensor) -> None:
        self.desired, self.period = desired, 0

    def __call__(self, layout: object, observation: Observation) -> torch.Tensor:
        self.period += 1
        return self.desired[self.period - 1]


def plain(scenarios: Scenarios, layout: Layout | None = None) -> PlainScenarios:
    """The same scenarios in numpy, on the terms of each where the layout has them."""
    return PlainScenarios(
        products=tuple(f"P{n}" for n in range(scenarios.batch)),
        first_period=100,
        history=scenarios.history,
        warmup=WARMUP,
        recorded=False,
        demand=scenarios.demand.double().numpy(),
        calendar=scenarios.calendar.double().numpy(),
        opening=Stock(scenarios.on_hand.double().numpy(), scenarios.in_transit.double().numpy()),
        terms=None if layout is None else own_terms(layout, np.arange(scenarios.batch)),
    )


def each_on_its_own(layout: Layout, rows: int, seed: int) -> Layout:
    """The layout with costs and lead times drawn for each scenario."""
    chance = np.random.default_rng(seed)
    own = {
        field: getattr(layout, field) * torch.from_numpy(chance.uniform(0.5, 2.0, (rows, 1))).to(layout.unit_cost.dtype)
        for field in ("holding_cost", "underage_cost", "unit_cost")
    }
    lead_time = torch.from_numpy(chance.integers(1, layout.longest_lead_time + 1, (rows, layout.edges)))
    return with_terms(layout, replace(terms_of(layout), **own, lead_time=lead_time))


@given(networks(), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=20, deadline=None)
def test_any_network_is_played_as_by_torch(network: Network, seed: int, own: bool) -> None:
    layout = layout_of(network, torch.float64)
    if own:
        layout = each_on_its_own(layout, 2, seed)
    scenarios = gamma_scenarios(layout, 2, 7, HISTORY, seed)
    draw = torch.Generator().manual_seed(seed)
    desired = torch.rand(7, 2, layout.edges, generator=draw, dtype=torch.float64) * 12
    plays: list[Play] = []
    total = rollout(layout, Wishes(desired), scenarios, plays=plays)
    same = plain_network(asdict(network))

    def orders(period: int, stock: Stock, past_demand: np.ndarray, calendar: np.ndarray) -> np.ndarray:
        assert past_demand.shape[2] == HISTORY + period, "nothing of the future is shown"
        return ration(layout, desired[period], torch.tensor(stock.on_hand)).numpy()

    kept = plain(scenarios, layout)
    played = play(same if kept.terms is None else on_own_terms(same, kept.terms), orders, kept)
    close = {"rtol": 0, "atol": 1e-9}
    for number, each in enumerate(plays):
        np.testing.assert_allclose(played.on_hand[:, number], each.before.on_hand, **close)
        np.testing.assert_allclose(played.in_transit[:, number], each.before.in_transit.sum(dim=2), **close)
        for cause in CAUSES:
            np.testing.assert_allclose(
                getattr(played, cause)[:, number].sum(axis=1), getattr(each.cost, cause), **close
            )
    np.testing.assert_allclose(
        cost(played, WARMUP), total[:, WARMUP:].mean(dim=1).numpy() / layout.stores, rtol=0, atol=1e-9
    )


@given(networks(), st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_what_is_not_served_is_missed_once(network: Network, seed: int) -> None:
    """Where unmet demand is lost, its cost is what was missed times the price of missing it."""
    same = plain_network(asdict(network) | {"unmet_demand": "lost"})
    scenarios = plain(gamma_scenarios(layout_of(network, torch.float64), 2, 6, HISTORY, seed))
    played = play(same, lambda period, stock, past_demand, calendar: np.zeros((2, len(same.source))), scenarios)
    np.testing.assert_allclose(played.underage, played.unmet * same.underage_cost)
    level = service_level(played, 0)
    assert ((level >= 0) & (level <= 1)).all()
    served = (played.demand - played.unmet).sum(axis=(1, 2))
    opening = scenarios.opening.on_hand.sum(axis=1) + scenarios.opening.in_transit.sum(axis=(1, 2))
    assert (served <= opening + 1e-9).all(), "nothing was ordered, so no more than the opening stock is served"


def exported(
    network: Network, window: int = 4, params: PolicyParams | None = None, own: Layout | None = None
) -> InventoryPolicy:
    """A policy of this network as it is shipped, base stock where none is named."""
    layout = own or layout_of(network)
    policy = build_policy(params or BaseStockParams(window=window), layout, 6.0, 0)
    spec = InventorySpec(
        kind="inventory",
        system="test",
        places=tuple(place.name for place in network.places),
        stores=tuple(store.name for store in network.stores),
        edges=tuple((edge.source, edge.target) for edge in network.edges),
        lead=network.longest_lead_time,
        window=window,
        calendar=("season",),
        noise_scale=0.2,
        salt="salt",
        own_terms=own is not None,
    )
    return InventoryPolicy(inventory_graph(policy, layout, window, 1), spec)


@pytest.fixture(scope="module")
def shipped() -> tuple[Network, InventoryPolicy, Scenarios, PlainNetwork, Played]:
    """A policy, what it was trained on, and how it is played without torch."""
    network = two_level()
    policy, scenarios = exported(network), gamma_scenarios(layout_of(network), 5, 12, HISTORY, 3)
    same = plain_network(asdict(network))
    return network, policy, scenarios, same, play_policy(same, policy, plain(scenarios))


@pytest.mark.slow
def test_an_exported_policy_costs_what_it_costs_in_torch(
    shipped: tuple[Network, InventoryPolicy, Scenarios, PlainNetwork, Played],
) -> None:
    network, _, scenarios, _, played = shipped
    layout = layout_of(network)
    trained = build_policy(BaseStockParams(window=4), layout, 6.0, 0)
    with torch.no_grad():
        total = rollout(layout, trained, scenarios)
    np.testing.assert_allclose(cost(played, WARMUP), total[:, WARMUP:].mean(dim=1).numpy() / layout.stores, rtol=1e-5)


@pytest.mark.slow
def test_series_on_terms_of_their_own_cost_what_they_cost_in_torch() -> None:
    """A policy that reads the terms, and a graph that is told of them: each product on costs and lead times drawn."""
    network, params = two_level(), GraphParams(width=4, rounds=1, window=3, calendar=1)
    layout = each_on_its_own(layout_of(network), 5, 7)
    policy, scenarios = exported(network, 3, params, layout), gamma_scenarios(layout, 5, 12, HISTORY, 3)
    trained = build_policy(params, layout, 6.0, 0)
    with torch.no_grad():
        total = rollout(layout, trained, scenarios)
    same, kept = plain_network(asdict(network)), plain(scenarios, layout)
    played = play_policy(same, policy, kept)
    np.testing.assert_allclose(cost(played, WARMUP), total[:, WARMUP:].mean(dim=1).numpy() / layout.stores, rtol=1e-4)
    dear = play_policy(same, policy, kept, Terms(underage=5.0))
    assert service_level(dear, WARMUP).mean() != service_level(played, WARMUP).mean(), "it is told of the dearer miss"
    with pytest.raises(UsageError, match="lack the terms"):
        play_policy(same, policy, replace(kept, terms=None))
    wrong = replace(kept, terms=replace(kept.terms, unit_cost=np.ones((5, 1))))  # type: ignore[type-var]
    with pytest.raises(UsageError, match="another network"):
        play_policy(same, policy, wrong)
    again = scenarios_from(scenarios_json(kept))
    assert scenarios_json(again) == scenarios_json(kept)


@pytest.mark.slow
def test_two_policies_are_asked_about_the_same_stock(
    shipped: tuple[Network, InventoryPolicy, Scenarios, PlainNetwork, Played],
) -> None:
    network, policy, scenarios, same, played = shipped
    kept = plain(scenarios)
    asked, led = orders_beside(same, policy, policy, kept)
    np.testing.assert_array_equal(asked, led)
    np.testing.assert_array_equal(led, played.orders)
    other = exported(network, params=GraphParams(width=4, rounds=1, window=3), window=3)
    asked, led = orders_beside(same, other, policy, kept)
    np.testing.assert_array_equal(led, played.orders)
    np.testing.assert_array_equal(asked[:, 0], play_policy(same, other, kept).orders[:, 0], "both open alike")
    assert not np.array_equal(asked[:, 0], led[:, 0])


@pytest.mark.slow
def test_other_terms_do_what_they_say(
    shipped: tuple[Network, InventoryPolicy, Scenarios, PlainNetwork, Played],
) -> None:
    _, policy, scenarios, same, usual = shipped
    dear = play_policy(same, policy, plain(scenarios), Terms(holding=2.0, underage=3.0, purchase=0.5))
    for cause, factor in (("holding", 2.0), ("underage", 3.0), ("purchase", 0.5)):
        np.testing.assert_allclose(
            costs_by_cause(dear, WARMUP)[cause], factor * costs_by_cause(usual, WARMUP)[cause], rtol=1e-9
        )
    double = play_policy(same, policy, plain(scenarios), Terms(demand=2.0))
    np.testing.assert_allclose(double.demand, 2 * usual.demand)
    np.testing.assert_allclose(double.orders, 2 * usual.orders, rtol=1e-4, atol=1e-3)
    later = play_policy(same, policy, plain(scenarios), Terms(longer=2))
    assert service_level(later, WARMUP).mean() < service_level(usual, WARMUP).mean()
    sooner = play_policy(same, policy, plain(scenarios), Terms(longer=-9))
    assert service_level(sooner, WARMUP).mean() > service_level(usual, WARMUP).mean()
    assert (on_terms(same, Terms(longer=-9)).lead_time == 1).all()


def test_scenarios_come_back_from_json_as_they_were() -> None:
    kept = plain(gamma_scenarios(layout_of(two_level()), 3, 5, HISTORY, 1))
    again = scenarios_from(scenarios_json(kept))
    assert scenarios_json(again) == scenarios_json(kept)
    assert (again.demand == kept.demand).all()


def test_what_is_no_network_is_said() -> None:
    content = asdict(two_level())
    for broken in ({}, content | {"nodes": []}, content | {"edges": [{"source": "x", "target": "a", "lead_time": 1}]}):
        with pytest.raises(UsageError, match="cannot be read"):
            plain_network(broken)
    with pytest.raises(UsageError, match="cannot be read"):
        scenarios_from({"demand": [1.0], "products": ["P"]})


def test_a_pipeline_longer_than_a_policy_sees_is_seen_in_its_last_slot() -> None:
    stock = Stock(np.zeros((1, 1)), np.arange(1.0, 6.0).reshape(1, 1, 5))
    assert stock.seen_in(3).tolist() == [[[1.0, 2.0, 12.0]]]
    assert stock.seen_in(7).tolist() == [[[1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 0.0]]]
