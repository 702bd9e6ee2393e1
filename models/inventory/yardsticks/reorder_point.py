"""The optimum of one store whose every order has a fixed cost: the (s, S) policy of Zheng and Federgruen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.inventory.yardsticks.grid_demand import Floats, GridDemand


@dataclass(frozen=True)
class ReorderOptimum:
    """Order up to `up_to` whenever the inventory position is at `reorder_point` or below; units, cost per period."""

    reorder_point: float
    up_to: float
    cost: float


def reorder_optimum(
    demand: GridDemand, lead_time: int, holding: float, underage: float, order_cost: float
) -> ReorderOptimum:
    """The (s, S) policy of least long-run average cost; unmet demand is backlogged.

    holding and underage are per unit and period, order_cost per order, above 0. An order of period t serves the demand
    of period t + lead_time; with a lead time of 0 that of the same period, as textbooks often have it. (s, S) policies
    are optimal (Scarf 1960; Iglehart 1963), and the search is exact for demand in steps (Zheng and Federgruen 1991,
    "Finding optimal (s, S) policies is about as simple as evaluating a single policy").
    Raises ValueError for a lead time below 0, an order cost not above 0 or a demand that is always 0.
    """
    if lead_time < 0:
        raise ValueError(f"lead_time must be 0 or more, found {lead_time}.")
    if not order_cost > 0:
        raise ValueError(f"order_cost must be above 0, found {order_cost}; without one, order up to a level.")
    if demand.chance[0] >= 1.0:
        raise ValueError("demand is always 0: no order is ever placed.")
    store = _Store(demand, lead_time, holding, underage, order_cost)
    best = store.cheapest_position()
    low, high = best - 1, best
    while store.average(low, high) > store.one_period(low):
        low -= 1
    cost = store.average(low, high)
    candidate = high + 1
    while store.one_period(candidate) <= cost:
        if store.average(low, candidate) < cost:
            high = candidate
            while store.average(low, high) <= store.one_period(low + 1):
                low += 1
            cost = store.average(low, high)
        candidate += 1
    return ReorderOptimum(low * demand.step, high * demand.step, cost)


class _Store:
    """Costs by inventory position, counted in steps of demand."""

    def __init__(self, demand: GridDemand, lead_time: int, holding: float, underage: float, order_cost: float) -> None:
        self._demand = demand
        self._total = demand.over(lead_time + 1)
        self._holding, self._underage, self._order_cost = holding, underage, order_cost
        self._known: dict[int, float] = {}
        self._visits = [1.0 / (1.0 - float(demand.chance[0]))]

    def one_period(self, position: int) -> float:
        """Expected cost, one lead time later, of a position after ordering."""
        if position not in self._known:
            left = position * self._demand.step - self._total.units
            cost = self._holding * np.maximum(left, 0) + self._underage * np.maximum(-left, 0)
            self._known[position] = float(cost @ self._total.chance)
        return self._known[position]

    def cheapest_position(self) -> int:
        """The position of least one-period cost: a quantile of demand over the lead time and one period."""
        ratio = self._underage / (self._underage + self._holding)
        return int(np.searchsorted(self._total.chance.cumsum(), ratio - 1e-12))

    def average(self, low: int, high: int) -> float:
        """Long-run average cost of ordering up to `high` at `low` or below: cost of a cycle over its length."""
        span = high - low
        while len(self._visits) < span:
            self._visits.append(_next_visits(self._visits, self._demand.chance))
        visits = self._visits[:span]
        cost = sum(count * self.one_period(high - below) for below, count in enumerate(visits))
        return (self._order_cost + cost) / sum(visits)


def _next_visits(visits: list[float], chance: Floats) -> float:
    """Expected periods of a cycle spent one step further below its start: the renewal equation."""
    reach = min(len(visits), len(chance) - 1)
    return float(np.dot(chance[1 : reach + 1], visits[::-1][:reach])) / (1.0 - float(chance[0]))
