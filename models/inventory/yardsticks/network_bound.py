"""A lower bound on what lost sales cost in a network of warehouses and stores: every store alone, at moving prices.

The argument, by duality. (1) Stock that warehouse w keeps in period t is all that arrived there less all that it
shipped, and is never below 0. Give each period's stock a multiplier λ ≥ 0 beside its holding cost h: the cost falls by
E Σ λ z ≥ 0. What arrived by t was ordered before the demand of the last `memory` periods (at most the lead time into w)
was known; where λ has mean h given what was known then, arrivals cancel, and every unit shipped pays the price of
`shipping_price`. Warehouses are then unlimited, and stores no longer compete.
(2) In the long run what is shipped was bought: stores pay the unit costs of the cheapest path themselves.
(3) A source slower than the store's fastest one may decide as late as the fastest, against a price of mean 0 given
what it truly knows. All routes now have one lead time, and a unit takes the cheapest.
(4) What is left is one store with lost sales at a price that depends on classes of recent demand. Its optimum is convex
in demand, so demand of the same mean that is smaller in convex order (`contracted`), on a lattice, lowers it; on a
lattice `priced_bound` gives it from below.
Every step lowers the cost of every policy, even one that knows each period's signals, for any prices; the better the
prices, the tighter. (1) and (3) are the multipliers of Rockafellar and Wets (1976) for what a decision may not know;
information relaxation with a penalty in Brown and Smith (2014).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np

from models.inventory.demand_law import DemandLaw
from models.inventory.network import Network
from models.inventory.yardsticks.contraction import DemandClass, TooCoarseError, contracted
from models.inventory.yardsticks.grid_demand import Floats
from models.inventory.yardsticks.moving_prices import (
    CLASSES,
    MEMORY,
    Scarcity,
    class_limits,
    shipping_price,
)
from models.inventory.yardsticks.priced_store import PricedBound, PricedStore, priced_bound
from models.inventory.yardsticks.routes import Route, memory_into, routes_to
from quaestor.errors import UsageError

SHAPES = (Scarcity(), *(Scarcity(threshold, steep) for threshold in (-1.0, 0.0, 1.0) for steep in (2.0, 5.0)))
"""Shapes of scarcity that are tried; the first is no scarcity at all."""

DELAYS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Sizes of the price for deciding late that are tried, in a store's holding cost."""

STEPS = {1: 8, 2: 6, 3: 4}
"""Lattice steps a standard deviation of demand, by lead time: finer is tighter and slower."""

COARSE_STEPS = 2
"""The same where prices are only being chosen."""

JUDGES = 4
"""Stores that choose a scarcity for all."""

OWN_SIGNAL = 0.95
"""Correlation of a store's own signal with its demand: a little noise lets coarser lattices do."""

LONGEST = 3
"""Lead time, in periods, beyond which a store's own pipeline is relaxed, too."""


@dataclass(frozen=True)
class NetworkBound:
    """cost: no policy costs less in the long run, per store and period. by_store (store,): its parts, per period."""

    cost: float
    by_store: tuple[float, ...]
    scarcity: Scarcity


@dataclass(frozen=True)
class _Store:
    """One store's relaxed problem before prices and lattice are chosen."""

    mean: float
    deviation: float
    correlation: float
    holding: float
    underage: float
    routes: tuple[Route, ...]

    @property
    def lead_time(self) -> int:
        return min(LONGEST, *(route.lead_time for route in self.routes))

    def priced(self, steps: int) -> PricedStore:
        """The store with its demand by class of signal, on a lattice of so many steps a deviation, or of more where
        that one is too coarse for a class."""
        step, most = self.deviation / steps, self.mean + 7.0 * self.deviation
        classes = [
            DemandClass(self.mean, self.deviation, self.correlation, low, high)
            for low, high in pairwise(class_limits())
        ]
        try:
            demand = np.stack([contracted(one.beyond, step, most) for one in classes])
        except TooCoarseError:
            return self.priced(steps + 1)
        weight = np.full(CLASSES, 1.0 / CLASSES)
        return PricedStore(step, demand, weight, self.lead_time, self.holding, self.underage)

    def price(self, scarcity: Scarcity, delay: float) -> Floats:
        """The cheapest route's price of a unit, by the classes of as many last periods as matter, latest first."""
        prices = [self._route_price(route, scarcity, delay) for route in self.routes]
        cheapest = np.minimum.reduce(np.broadcast_arrays(*prices))
        memory = max(1, sum(size > 1 for size in cheapest.shape))
        return np.asarray(np.broadcast_to(cheapest.reshape(cheapest.shape[:memory]), (CLASSES,) * memory))

    def _route_price(self, route: Route, scarcity: Scarcity, delay: float) -> Floats:
        """Of one route, with axes of length 1 for periods it does not look at."""
        late = min(MEMORY, route.lead_time - self.lead_time)
        if late:
            moving = delay * self.holding * (Scarcity(0.0, 1.0).table(late) - 1.0)
        elif route.memory:
            moving = shipping_price(route.holding, scarcity, route.memory)
        else:
            moving = np.zeros(())
        return np.asarray(route.unit_cost + moving).reshape(moving.shape + (1,) * (MEMORY - moving.ndim))


def network_bound(network: Network, law: DemandLaw, tolerance: float = 1e-3) -> NetworkBound:
    """A lower bound on the long-run average cost of any policy in a network of warehouses and stores.

    law: clipped normal demand. tolerance: relative; what value iteration may leave of each store's bound. Prices are
    chosen on a coarse lattice from a few shapes (any choice is valid), the scarcity by the first stores alone.
    Raises UsageError where unmet demand is backlogged, demand is another, or a store supplies another place.
    """
    stores = _relaxed_stores(network, law)
    coarse = [store.priced(COARSE_STEPS) for store in stores[:JUDGES]]
    judges = list(zip(stores[:JUDGES], coarse, strict=True))
    scarcity = SHAPES[0]
    if any(route.memory for store in stores for route in store.routes):
        scarcity = max(SHAPES, key=partial(_judged, judges))
    parts = tuple(_store_bound(store, scarcity, tolerance) for store in stores)
    return NetworkBound(sum(parts) / len(parts), parts, scarcity)


def _judged(judges: list[tuple[_Store, PricedStore]], scarcity: Scarcity) -> float:
    return sum(priced_bound(priced, store.price(scarcity, 0.5), 1e-2).cost for store, priced in judges)


def _store_bound(store: _Store, scarcity: Scarcity, tolerance: float) -> float:
    delay = 0.0
    if any(route.lead_time > store.lead_time for route in store.routes):
        coarse = store.priced(COARSE_STEPS)
        delay = max(DELAYS, key=lambda size: priced_bound(coarse, store.price(scarcity, size), 1e-2).cost)
    bound: PricedBound = priced_bound(store.priced(STEPS[store.lead_time]), store.price(scarcity, delay), tolerance)
    return bound.cost


def _relaxed_stores(network: Network, law: DemandLaw) -> list[_Store]:
    _check(network, law)
    deviation = np.array(law.deviation)
    between = np.full((law.stores, law.stores), law.correlation) + (1.0 - law.correlation) * np.eye(law.stores)
    covariance = between * np.outer(deviation, deviation)
    with_all = covariance.sum(axis=1) / np.sqrt(covariance.sum()) / deviation
    routes = [routes_to(network, store.name) for store in network.stores]
    fastest = [min(LONGEST, *(route.lead_time for route in of_store)) for of_store in routes]
    # A warehouse's price may move only where everybody it supplies can look at the demand that it moves with.
    steady = {
        route.source
        for of_store, lead_time in zip(routes, fastest, strict=True)
        for route in of_store
        if route.lead_time > lead_time
    }
    stores = []
    for number, node in enumerate(network.stores):
        own = tuple(
            replace(route, memory=0 if route.source in steady else memory_into(network, route.source, MEMORY))
            for route in routes[number]
        )
        correlation = float(with_all[number]) if any(route.memory for route in own) else OWN_SIGNAL
        stores.append(
            _Store(law.mean[number], law.deviation[number], correlation, node.holding_cost, node.underage_cost, own)
        )
    return stores


def _check(network: Network, law: DemandLaw) -> None:
    if network.unmet_demand != "lost":
        raise UsageError("This bound is for lost sales; where unmet demand is backlogged, see the other yardsticks.")
    if law.law != "normal" or not law.clipped:
        raise UsageError(f"This bound is for normal demand clipped at 0, found {law.law}.")
    if law.stores != len(network.stores):
        raise UsageError(f"The network has {len(network.stores)} stores, the demand {law.stores}.")
    if any(store.name == edge.source for store in network.stores for edge in network.edges):
        raise UsageError("This bound is for networks whose stores supply nobody.")
    if any(not store.holding_cost > 0 for store in network.stores):
        raise UsageError("This bound needs a holding cost above 0 at every store.")
