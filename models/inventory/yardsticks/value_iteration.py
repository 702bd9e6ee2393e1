"""The optimum of one store with lost sales, by relative value iteration over the full pipeline."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quaestor.errors import UsageError

Floats = NDArray[np.float64]
Orders = NDArray[np.int64]

NEGLIGIBLE = 1e-13
"""Probability of demand beyond the end of a truncated distribution."""

LARGEST_TABLE = 60_000_000
"""States, with about 40 bytes each while values are iterated, that we are ready to hold."""

SHORT = 3
"""Lead time, in periods, whose table is small; orders of longer ones are hardly ever larger."""

ROWS_AT_ONCE = 50_000


@dataclass(frozen=True)
class LostSalesOptimum:
    """The optimal policy of one store and what it costs.

    cost: long-run average, per period. orders (on hand, slot 1, …, slot L-1): whole units to order in each state;
    on hand includes what is due now, slot k arrives k periods later. Stock beyond the table counts as its last row.
    """

    cost: float
    orders: Orders

    @property
    def lead_time(self) -> int:
        """Periods from an order to the first demand it serves."""
        return self.orders.ndim


def poisson_pmf(mean: float) -> Floats:
    """Probabilities of a Poisson demand of 0, 1, … units, (unit,), cut where what is left out is negligible."""
    units = np.arange(math.ceil(mean + 12.0 * math.sqrt(mean) + 30.0))
    pmf = np.exp(units * math.log(mean) - mean - np.array([math.lgamma(unit + 1.0) for unit in units]))
    tail = pmf[::-1].cumsum()[::-1]
    pmf = pmf[tail > NEGLIGIBLE]
    return np.asarray(pmf / pmf.sum())


def lost_sales_optimum(
    demand: Floats, lead_time: int, holding: float, underage: float, tolerance: float = 1e-7
) -> LostSalesOptimum:
    """The lowest long-run average cost of one store that loses unmet demand, and the orders that attain it.

    demand (unit,): probabilities of 0, 1, … units a period, independent between periods. holding and underage are
    per unit and period. The cost is exact to `tolerance`: it is the middle of Odoni's bounds (Puterman 1994,
    "Markov Decision Processes", section 8.5), over a table that grows until optimal play stays strictly inside it.
    State and timing as in Zipkin 2008, "Old and new methods for lost-sales inventory systems". Raises ValueError
    for a lead time below 1, a demand that is no distribution, or one that is always 0, UsageError where the table
    would have more than LARGEST_TABLE states.
    """
    if lead_time < 1:
        raise ValueError(f"lead_time must be 1 or more, found {lead_time}.")
    if (demand < 0).any() or abs(demand.sum() - 1.0) > 1e-9:
        raise ValueError("demand must be probabilities of 0, 1, … units that sum to 1.")
    if demand[0] >= 1.0:
        raise ValueError("demand is always 0: stock would never leave, and no average cost is reached.")
    # An order that covers one period, and a stock that covers the lead time and the period under review.
    most = _quantile(demand, 1, underage / (underage + holding)) + 1
    if lead_time > SHORT:
        most = int(lost_sales_optimum(demand, SHORT, holding, underage, tolerance).orders.max()) + 1
    stock = _quantile(demand, lead_time + 1, underage / (underage + holding)) + 1
    while True:
        states = (stock + 1) * (most + 1) ** (lead_time - 1)
        if states > LARGEST_TABLE:
            raise UsageError(
                f"The optimum of lost sales is found over every state of the pipeline: with a lead time of {lead_time} "
                f"there are {states:.1e}, and a table holds at most {LARGEST_TABLE:.1e}. Take a shorter lead time or a "
                "lower underage cost; the optimum of a shorter lead time is a lower bound of a longer one's."
            )
        cost, orders = _solve(demand, lead_time, holding, underage, most, stock, tolerance)
        largest_order, largest_stock = _extremes(demand, orders)
        if largest_order < most and largest_stock < stock:
            return LostSalesOptimum(cost, orders)
        most += 2 * (largest_order >= most)
        stock += 4 * (largest_stock >= stock)


def _solve(
    demand: Floats, lead_time: int, holding: float, underage: float, most: int, stock: int, tolerance: float
) -> tuple[float, Orders]:
    """Average cost and orders when orders end at `most` and stock above `stock` is thrown away for nothing.

    Free disposal can only lower the optimum, so where optimal play never disposes the optimum is the true one.
    """
    moves, cost = _moves(demand, holding, underage, most, stock)
    sizes = (stock + 1, *(most + 1,) * (lead_time - 1))
    own_cost = cost.reshape(-1, *(1,) * (lead_time - 1))
    value, following = np.zeros(sizes), np.empty(sizes)
    while True:
        for states, after in _afterwards(moves, value):
            following[states] = after.min(axis=-1)
        following += own_cost
        np.subtract(following, value, out=value)
        low, high = float(value.min()), float(value.max())
        value, following = following, value
        if high - low < tolerance:
            break
        value -= value.flat[0]
    orders = np.empty(sizes, dtype=np.int64)
    for states, after in _afterwards(moves, value):
        # Ties go to the smallest order; float noise must not decide them.
        orders[states] = (after <= after.min(axis=-1, keepdims=True) + 1e-9).argmax(axis=-1)
    return (high + low) / 2, orders


def _afterwards(moves: Floats, value: Floats) -> Iterator[tuple[tuple[slice | int, ...], Floats]]:
    """Expected value after each order from each state, the order as the last axis; a part of the states at a time,
    with where they are."""
    every, orders = slice(None), len(moves) // len(value)
    if value.ndim < 3:
        yield (every,), (moves @ value).reshape(len(value), *(orders,) * value.ndim)
        return
    for due_second in range(orders):
        part = value[:, due_second].reshape(len(value), -1)
        yield (every, every, due_second), (moves @ part).reshape(len(value), *(orders,) * (value.ndim - 1))


def _moves(demand: Floats, holding: float, underage: float, most: int, stock: int) -> tuple[Floats, Floats]:
    """Chances (on hand × slot 1, on hand next) of the stock after demand and arrivals, and cost (on hand,)."""
    units = np.arange(len(demand))
    start = np.arange(stock + 1)
    left = np.maximum(start[:, None] - units, 0)
    cost = (holding * left + underage * np.maximum(units - start[:, None], 0)) @ demand
    following = np.minimum(left[:, None, :] + np.arange(most + 1)[None, :, None], stock)
    moves = np.zeros(((stock + 1) * (most + 1), stock + 1))
    rows = np.arange(len(moves)).reshape(stock + 1, most + 1, 1)
    np.add.at(moves, (np.broadcast_to(rows, following.shape), following), np.broadcast_to(demand, following.shape))
    return moves, cost


def _extremes(demand: Floats, orders: Orders) -> tuple[int, int]:
    """The largest order and the largest stock on hand, before any disposal, ever met from an empty start."""
    reached = np.zeros(orders.shape, dtype=np.bool_)
    frontier = np.zeros((1, orders.ndim), dtype=np.int64)
    units, largest = np.flatnonzero(demand), 0
    while len(frontier):
        reached[tuple(frontier.T)] = True
        found = np.zeros_like(reached)
        for first in range(0, len(frontier), ROWS_AT_ONCE):
            states = frontier[first : first + ROWS_AT_ONCE]
            pipeline = np.concatenate((states[:, 1:], orders[tuple(states.T)][:, None]), axis=1)
            on_hand = np.maximum(states[:, :1] - units, 0) + pipeline[:, :1]
            largest = max(largest, int(on_hand.max()))
            found[(np.minimum(on_hand, orders.shape[0] - 1), *(slot[:, None] for slot in pipeline[:, 1:].T))] = True
        frontier = np.argwhere(found & ~reached)
    return int(orders[reached].max()), largest


def _quantile(demand: Floats, periods: int, level: float) -> int:
    """The smallest number of units that demand over `periods` periods stays within with probability `level`."""
    total = np.ones(1)
    for _ in range(periods):
        total = np.convolve(total, demand)
    return int(np.searchsorted(total.cumsum(), level))
