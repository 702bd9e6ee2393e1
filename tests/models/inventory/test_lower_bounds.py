"""Lower bounds are below what anybody plays, and not far below."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.inventory.demand_law import DemandLaw
from models.inventory.hdpo import HDPOParams, mean_cost, train
from models.inventory.instances import Instance, many_warehouses_lost, one_warehouse_lost
from models.inventory.layout import layout_of
from models.inventory.network import Edge, Network, Node
from models.inventory.policies.base_stock import BaseStockParams
from models.inventory.policies.build import PolicyParams, build_policy
from models.inventory.policies.echelon_base_stock import EchelonBaseStockParams
from models.inventory.scenarios import drawn_scenarios
from models.inventory.yardsticks import network_bound as bounds
from models.inventory.yardsticks.contraction import DemandClass, TooCoarseError, contracted
from models.inventory.yardsticks.moving_prices import CLASSES, Scarcity, shipping_price
from models.inventory.yardsticks.network_bound import network_bound
from models.inventory.yardsticks.priced_store import PricedStore, priced_bound
from models.inventory.yardsticks.value_iteration import lost_sales_optimum, poisson_pmf
from quaestor.errors import UsageError
from tests.models.inventory.networks import one_store, two_level


@settings(max_examples=12, deadline=None)
@given(
    st.floats(0.0, 10.0), st.floats(0.3, 3.0), st.sampled_from([0.5, 0.8, 0.95]),
    st.sampled_from([(-np.inf, np.inf), (-np.inf, -0.4), (0.4, np.inf), (-1.0, 1.5)]), st.integers(3, 6),
)  # fmt: skip
def test_contracted_demand_has_the_mean_and_is_smaller_in_convex_order(
    mean: float, deviation: float, correlation: float, limits: tuple[float, float], steps: int
) -> None:
    drawn = np.random.default_rng(0).standard_normal((2, 400_000))
    signal, own = drawn[0], correlation * drawn[0] + np.sqrt(1 - correlation**2) * drawn[1]
    demand = np.maximum(mean + deviation * own[(signal > limits[0]) & (signal <= limits[1])], 0.0)
    step, chance = coarsest(DemandClass(mean, deviation, correlation, *limits), steps)
    units = np.arange(len(chance)) * step
    noise = 5 * deviation / len(demand) ** 0.5
    assert chance @ units == pytest.approx(demand.mean(), abs=noise)
    for quantity in np.linspace(0.0, mean + 3 * deviation, 30):
        beyond = chance @ np.maximum(units - quantity, 0.0)
        assert beyond <= np.maximum(demand - quantity, 0.0).mean() + noise
    variance = chance @ units**2 - (chance @ units) ** 2
    assert variance >= demand.var() - 0.25 * step**2 - 0.02 * deviation**2  # a lattice costs step² / 12 at least


def coarsest(one: DemandClass, steps: int) -> tuple[float, np.ndarray]:
    """The contracted law on the coarsest lattice that takes one, from so many steps a deviation on."""
    step = one.deviation / steps
    try:
        return step, contracted(one.beyond, step, one.mean + 7 * one.deviation)
    except TooCoarseError:
        assert steps < 10
        return coarsest(one, steps + 1)


def test_demand_that_hardly_spreads_finds_no_coarser_law() -> None:
    with pytest.raises(TooCoarseError, match="take a finer one"):
        contracted(DemandClass(2.5, 0.01, 1.0, -9.0, 9.0).beyond, 1.0, 5.0)


@pytest.mark.parametrize("lead_time", [1, 2])
def test_without_moving_prices_the_bound_is_the_optimum(lead_time: int) -> None:
    demand = poisson_pmf(5.0)
    store = PricedStore(1.0, demand[None], np.ones(1), lead_time, 1.0, 9.0)
    optimum = lost_sales_optimum(demand, lead_time, 1.0, 9.0).cost
    assert optimum - 2e-4 <= priced_bound(store, np.zeros(1), 1e-5).cost <= optimum
    assert priced_bound(store, np.zeros(1), 0.3).cost <= optimum  # stopped early, and still below


def test_a_constant_price_is_paid_for_what_is_sold() -> None:
    """With underage far above, everything is bought: the price adds price × mean demand, less what is lost."""
    store = PricedStore(1.0, poisson_pmf(3.0)[None], np.ones(1), 1, 1.0, 200.0)
    free, paid = (priced_bound(store, np.full(1, price), 1e-4).cost for price in (0.0, 2.0))
    assert paid - free == pytest.approx(6.0, rel=0.01)


def test_prices_so_low_that_stock_is_thrown_away_bound_nothing() -> None:
    store = PricedStore(1.0, poisson_pmf(3.0)[None], np.ones(1), 1, 0.1, 9.0)
    assert priced_bound(store, np.full(1, -50.0), 1e-2).cost == -np.inf


@pytest.mark.parametrize("memory", [1, 2, 3])
@pytest.mark.parametrize("shape", [Scarcity(), Scarcity(0.0, 5.0), Scarcity(1.0, 2.0)])
def test_a_warehouse_price_is_fair_to_who_ordered_before(shape: Scarcity, memory: int) -> None:
    price = shipping_price(0.3, shape, memory)
    assert price.mean() == pytest.approx(0.0, abs=1e-12)
    table = shape.table(memory)
    assert (table >= 0).all()
    for now in itertools.product(range(CLASSES), repeat=memory):
        expected = 0.0
        for ahead in range(memory):
            later = itertools.product(range(CLASSES), repeat=ahead)
            seen = [table[(*reversed(new), *now[: memory - ahead])] for new in later]
            expected += 0.3 * (np.mean(seen) - 1.0)
        assert price[now] == pytest.approx(expected, abs=1e-12)


@pytest.mark.slow
def test_warehouses_that_hold_for_nothing_cost_nothing() -> None:
    """Then every store is alone, and the bound is the sum of their optima but for the lattice."""
    nodes = (Node("s", "supplier"), Node("w", "warehouse"), Node("a", "store", 1.0, 9.0), Node("b", "store", 0.8, 7.0))
    edges = (Edge("s", "w", 3), Edge("w", "a", 1), Edge("w", "b", 2))
    law = DemandLaw("normal", (5.0, 3.0), (1.6, 1.2), 0.5)
    together = network_bound(Network("free", "lost", nodes, edges), law)
    alone = 0.0
    for number, (lead, holding, underage) in enumerate(((1, 1.0, 9.0), (2, 0.8, 7.0))):
        deviation = law.deviation[number]
        fine = contracted(
            DemandClass(law.mean[number], deviation, 1.0, -9.0, 9.0).beyond, deviation / 12, law.mean[number] + 7
        )
        one = PricedStore(deviation / 12, fine[None], np.ones(1), lead, holding, underage)
        alone += priced_bound(one, np.zeros(1), 1e-4).cost
    assert 0.99 * alone < 2 * together.cost < alone


def test_other_problems_are_refused() -> None:
    law = DemandLaw("normal", (5.0,), (1.6,))
    with pytest.raises(UsageError, match="for lost sales"):
        network_bound(one_store(2, 9.0, "backlogged"), law)
    with pytest.raises(UsageError, match="normal demand clipped at 0, found poisson"):
        network_bound(one_store(2, 9.0, "lost"), DemandLaw("poisson", (5.0,)))
    with pytest.raises(UsageError, match="has 3 stores, the demand 1"):
        network_bound(two_level(), law)


def _best(instance: Instance, params: PolicyParams) -> tuple[float, float]:
    """Mean cost of a policy that was fitted to the instance, and its standard error."""
    layout = layout_of(instance.network)
    policy = build_policy(params, layout, float(np.mean(instance.demand.mean)), seed=0)
    known, dev = (drawn_scenarios(layout, instance.demand, size, 60, 0, seed) for size, seed in ((512, 1), (256, 2)))
    train(policy, layout, known, dev, HDPOParams(epochs=6, batch=64, learning_rate=2e-2, scale_exponent=0.0), 30)
    costs = mean_cost(layout, policy, drawn_scenarios(layout, instance.demand, 800, 150, 0, 3), 50).double()
    return float(costs.mean()), float(costs.std()) / len(costs) ** 0.5


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coarser lattices are looser by one or two per cent, and much faster."""
    monkeypatch.setattr(bounds, "STEPS", {1: 3, 2: 3, 3: 2})
    monkeypatch.setattr(bounds, "SHAPES", (bounds.SHAPES[0], Scarcity(0.0, 5.0)))
    monkeypatch.setattr(bounds, "DELAYS", (0.0, 0.75))


@pytest.mark.usefixtures("coarse")
@pytest.mark.slow
def test_no_fitted_policy_costs_less_than_the_bound_and_moving_prices_raise_it(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = one_warehouse_lost(3, seed=1)
    bound = network_bound(instance.network, instance.demand, 1e-2).cost
    cost, error = _best(instance, EchelonBaseStockParams(window=0))
    assert bound < cost + 4 * error
    assert bound > 0.9 * cost
    monkeypatch.setattr(bounds, "SHAPES", bounds.SHAPES[:1])
    assert network_bound(instance.network, instance.demand, 1e-2).cost < 0.96 * bound


@pytest.mark.usefixtures("coarse")
@pytest.mark.slow
def test_the_bound_of_many_warehouses_is_below_a_fitted_policy() -> None:
    instance = many_warehouses_lost(seed=1)
    cost, error = _best(instance, BaseStockParams(window=0))
    assert network_bound(instance.network, instance.demand, 1e-2).cost < cost + 4 * error
