"""The tightest cost that we know no policy of a network and a law of demand can beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from models.inventory.demand_law import DemandLaw
from models.inventory.network import Edge, Network
from models.inventory.yardsticks.backlogged import backlogged_optimum
from models.inventory.yardsticks.clark_scarf import serial_optimum
from models.inventory.yardsticks.grid_demand import normal_on_grid, poisson_on_grid
from models.inventory.yardsticks.network_bound import network_bound
from models.inventory.yardsticks.reorder_point import reorder_optimum
from models.inventory.yardsticks.transshipment import transshipment_bound
from models.inventory.yardsticks.value_iteration import lost_sales_optimum, poisson_pmf
from quaestor.errors import UsageError

FIXED_COST_STEPS = 32
"""Grid cells per standard deviation where orders have a fixed cost: the search is exact on the grid, and slow."""

LONGEST_TABLE = 5
"""Lead time, in periods, up to which the table of all states of one store is filled within seconds."""


@dataclass(frozen=True)
class KnownBound:
    """cost: no policy costs less in the long run, per store and period; exact: some policy attains it."""

    name: str
    cost: float
    exact: bool


def known_bound(network: Network, law: DemandLaw) -> KnownBound | None:
    """The bound for a network and its demand, or None where we know none.

    Optima: one store by value iteration (lost), as a newsvendor (backlogged) or as the best (s, S) (backlogged, with a
    fixed cost per order), a chain by Clark and Scarf. Lower bounds, which leave fixed costs out: balanced stock behind
    a cross-dock, and stores at moving prices where unmet demand is lost.
    """
    for bound in _BOUNDS:
        if (found := bound(network, law)) is not None:
            return found
    return None


def _one_store_lost(network: Network, law: DemandLaw) -> KnownBound | None:
    edge = _only_edge(network)
    if edge is None or (network.unmet_demand, law.law, network.whole_units) != ("lost", "poisson", True):
        return None
    if edge.lead_time > LONGEST_TABLE:
        return None
    (store,) = network.stores
    found = lost_sales_optimum(poisson_pmf(law.mean[0]), edge.lead_time, store.holding_cost, store.underage_cost)
    return KnownBound("optimum, by value iteration", found.cost, True)


def _one_store_backlogged(network: Network, law: DemandLaw) -> KnownBound | None:
    edge = _only_edge(network)
    if edge is None or network.unmet_demand != "backlogged" or not _clipped_normal(law):
        return None
    (store,) = network.stores
    found = backlogged_optimum(law.mean[0], law.deviation[0], edge.lead_time, store.holding_cost, store.underage_cost)
    return KnownBound("optimum, newsvendor over the lead time", found.cost, True)


def _one_store_fixed(network: Network, law: DemandLaw) -> KnownBound | None:
    if len(network.edges) != 1 or network.unmet_demand != "backlogged" or network.edges[0].unit_cost:
        return None
    (edge,), (store,) = network.edges, network.stores
    if not edge.order_cost or not store.holding_cost:
        return None
    if _clipped_normal(law) and not network.whole_units:
        demand = normal_on_grid(law.mean[0], law.deviation[0], FIXED_COST_STEPS)
    elif law.law == "poisson" and network.whole_units:
        demand = poisson_on_grid(law.mean[0])
    else:
        return None
    found = reorder_optimum(demand, edge.lead_time, store.holding_cost, store.underage_cost, edge.order_cost)
    return KnownBound("optimum, the best (s, S)", found.cost, True)


def _chain(network: Network, law: DemandLaw) -> KnownBound | None:
    chain = _chain_from_store(network)
    if chain is None or network.unmet_demand != "backlogged" or not _clipped_normal(law):
        return None
    holding = {place.name: place.holding_cost for place in network.places}
    costs = [holding[edge.target] for edge in chain]
    if any(below < above for below, above in pairwise(costs)):
        return None
    demand = normal_on_grid(law.mean[0], law.deviation[0])
    found = serial_optimum(demand, [edge.lead_time for edge in chain], costs, network.stores[0].underage_cost)
    return KnownBound("optimum, by Clark and Scarf", found.cost, True)


def _cross_dock(network: Network, law: DemandLaw) -> KnownBound | None:
    docks = [place for place in network.places if place.kind != "store"]
    if network.unmet_demand != "backlogged" or law.law != "normal" or law.clipped or network.whole_units:
        return None
    if len(docks) != 1 or docks[0].kind != "cross_dock" or any(edge.unit_cost for edge in network.edges):
        return None
    onward = [edge for edge in network.edges if edge.source == docks[0].name]
    inward = [edge for edge in network.edges if edge.target == docks[0].name]
    alike = {(store.holding_cost, store.underage_cost) for store in network.stores}
    if len(onward) != len(network.edges) - 1 or len(inward) != 1 or len(alike) != 1:
        return None
    if len({edge.lead_time for edge in onward}) != 1:
        return None
    spread = np.array(law.deviation)
    between = np.full((len(spread),) * 2, law.correlation)
    np.fill_diagonal(between, 1.0)
    covariance = between * np.outer(spread, spread)
    ((holding, underage),) = alike
    cost = transshipment_bound(covariance, inward[0].lead_time, onward[0].lead_time, holding, underage)
    return KnownBound("lower bound, balanced stock", cost, False)


def _moving_prices(network: Network, law: DemandLaw) -> KnownBound | None:
    if network.unmet_demand != "lost":
        return None
    try:
        found = network_bound(network, law)
    except UsageError:
        return None
    return KnownBound("lower bound, stores at moving prices", found.cost, False)


_BOUNDS: tuple[Callable[[Network, DemandLaw], KnownBound | None], ...] = (
    _one_store_lost,
    _one_store_backlogged,
    _one_store_fixed,
    _chain,
    _cross_dock,
    _moving_prices,
)


def _clipped_normal(law: DemandLaw) -> bool:
    return law.law == "normal" and law.clipped


def _only_edge(network: Network) -> Edge | None:
    chain = _chain_from_store(network)
    return chain[0] if chain is not None and len(chain) == 1 else None


def _chain_from_store(network: Network) -> list[Edge] | None:
    """The edges from the store up where every place has one source and one customer and orders cost nothing."""
    into = {edge.target: edge for edge in network.edges}
    sources = {edge.source for edge in network.edges}
    if len(network.stores) != 1 or len(into) != len(network.edges) or len(sources) != len(network.edges):
        return None
    if any(edge.unit_cost or edge.order_cost for edge in network.edges):
        return None
    if any(place.kind == "cross_dock" for place in network.places):
        return None
    chain, name = [], network.stores[0].name
    while name in into:
        chain.append(into[name])
        name = into[name].source
    return chain
