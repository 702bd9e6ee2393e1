"""One store that loses unmet demand and pays a price per unit that moves with the demand of the last few periods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.inventory.yardsticks.grid_demand import Floats


@dataclass(frozen=True)
class PricedStore:
    """Everything is counted in lattice steps of `step` units.

    demand (class, step): probabilities of a period's demand in each class; weight (class,): of the classes, which are
    independent between periods. lead_time: periods. holding, underage: per unit and period.
    """

    step: float
    demand: Floats
    weight: Floats
    lead_time: int
    holding: float
    underage: float

    @property
    def mean(self) -> float:
        """Mean demand, in units."""
        return float(self.weight @ self.demand @ np.arange(self.demand.shape[1])) * self.step


@dataclass(frozen=True)
class PricedBound:
    """cost: no policy costs less in the long run, per period. value: where to start when the price changes a little."""

    cost: float
    value: Floats


def priced_bound(
    store: PricedStore, price: Floats, tolerance: float, start: Floats | None = None, rounds: int = 2000
) -> PricedBound:
    """A lower bound on the store's cost, purchases included, within `tolerance` (relative) of the lattice optimum.

    price (class, …, class): per unit ordered, by the classes of the last periods, latest first. Value iteration stops
    early without harm: the smallest change of any state's value is a lower bound at every round (Odoni 1969; Puterman
    1994, section 8.5). Stock beyond the table is taken back for nothing, which helps the store: the table grows until
    in every state at its edge less stock is better. Larger orders than the table's are no better where the best one
    lies inside it, because values are convex in the order (Zipkin 2008, "On the structure of lost-sales inventory
    models"). By the same paper's L♮-convexity, orders between the steps of the lattice are no better than those on it.
    """
    most, stock = _sizes(store, price)
    while most <= stock:
        if start is None or start.shape[-store.lead_time :] != (stock + 1, *(most + 1,) * (store.lead_time - 1)):
            start = np.zeros((*price.shape, stock + 1, *(most + 1,) * (store.lead_time - 1)))
        bound, largest, ample = _iterate(store, price, most, stock, start, tolerance, rounds)
        if largest < most and ample:
            return bound
        most += 0 if largest < most else max(2, most // 4)
        stock += 0 if ample else max(4, stock // 4)
    return PricedBound(-np.inf, np.zeros(0))  # so cheap at times that stock would be bought to be thrown away


def _sizes(store: PricedStore, price: Floats) -> tuple[int, int]:
    """The largest order and stock of a first table: what covers one period, and the lead time and a period more."""
    one = store.weight @ store.demand
    ratio = 1 - store.holding / (store.underage + store.holding) / 4
    total = np.ones(1)
    for _ in range(store.lead_time + 1):
        total = np.convolve(total, one)
    room = np.ptp(price) / store.holding  # periods for which buying ahead of a dearer price might pay
    order = int(np.searchsorted(one.cumsum(), ratio)) + 1
    stock = int(np.searchsorted(total.cumsum(), ratio)) + 1
    return order + int(room * store.mean / store.step / 4), stock + int(room * store.mean / store.step / 2)


def _iterate(
    store: PricedStore, price: Floats, most: int, stock: int, value: Floats, tolerance: float, rounds: int
) -> tuple[PricedBound, int, bool]:
    """The bound, the largest order that is best anywhere, and whether less stock is better all along the edge."""
    moves, cost = _moves(store, most, stock)
    classes, memory, lead = len(store.weight), price.ndim, store.lead_time
    rest = (most + 1) ** (lead - 1)
    orders = np.arange(most + 1) * store.step
    for _ in range(rounds):
        following = np.empty_like(value)
        largest = 0
        for earlier in np.ndindex(*(classes,) * (memory - 1)):
            # After this period its class is the latest, and the oldest is forgotten.
            after = sum(moves[latest] @ value[(latest, *earlier)].reshape(stock + 1, rest) for latest in range(classes))
            after = np.asarray(after).reshape(-1, most + 1)
            for oldest in range(classes):
                total = after + price[(*earlier, oldest)] * orders
                best = total.argmin(axis=1)
                largest = max(largest, int(best.max()))
                lowest = np.take_along_axis(total, best[:, None], axis=1)
                following[(*earlier, oldest)] = lowest.reshape(stock + 1, *(most + 1,) * (lead - 1))
        following += cost.reshape(-1, *(1,) * (lead - 1))
        change = following - value
        low, high = float(change.min()), float(change.max())
        value = following - following.flat[0]
        if high - low < tolerance * abs(high):
            break
    edge = np.moveaxis(value, value.ndim - lead, -1)
    return PricedBound(low, value), largest, bool((edge[..., -1] >= edge[..., -2]).all())


def _moves(store: PricedStore, most: int, stock: int) -> tuple[Floats, Floats]:
    """Chances (class, on hand × slot 1, on hand next), weighed by class, and expected cost (on hand,) of a period."""
    start, demand = np.arange(stock + 1), np.arange(store.demand.shape[1])
    left = np.maximum(start[:, None] - demand, 0)
    missing = np.maximum(demand - start[:, None], 0)
    chance = store.weight[:, None] * store.demand
    cost = (store.holding * left + store.underage * missing) @ chance.sum(axis=0) * store.step
    following = np.minimum(left[:, None, :] + np.arange(most + 1)[None, :, None], stock)
    rows = np.broadcast_to(np.arange((stock + 1) * (most + 1)).reshape(stock + 1, most + 1, 1), following.shape)
    moves = np.zeros((len(chance), (stock + 1) * (most + 1), stock + 1))
    for number, chances in enumerate(chance):
        np.add.at(moves[number], (rows, following), np.broadcast_to(chances, following.shape))
    return moves, cost
