"""What the cheapest orders would have cost had all demand been known: a bound that no policy passes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_array
from torch import Tensor

from models.inventory.layout import Layout
from models.inventory.scenarios import Scenarios

Floats = NDArray[np.float64]


def clairvoyant_cost(layout: Layout, scenarios: Scenarios, warmup: int) -> Tensor:
    """The least cost per store and period of each scenario after the warm-up, all demand known at the start; (batch,).

    A linear program of the whole network for each scenario, solved by HiGHS: orders on every edge, what stays at every
    place, and what is missing at every store, with goods conserved. Orders are cheapest for the periods after the
    warm-up alone, so no policy's cost over them is lower. It is what the best orders cost, but for four liberties that
    only lower it: goods can be divided, orders have no fixed cost, a store may save stock from a customer for a later
    or better one, and a place that supplies several is rationed by the program. With one store, one source and no
    fixed costs it is ordering just in time.
    """
    costs = [
        _solve(layout.rows(torch.tensor([row])), scenarios.rows(torch.tensor([row])), warmup)
        for row in range(scenarios.batch)
    ]
    return torch.tensor(costs, dtype=scenarios.demand.dtype)


@dataclass(frozen=True)
class _Columns:
    """Where the program's variables stand: orders (period, edge), kept (period, place), missing (period, store)."""

    periods: int
    edges: int
    places: int
    stores: int

    @property
    def orders(self) -> NDArray[np.int64]:
        return np.arange(self.periods * self.edges).reshape(self.periods, self.edges)

    @property
    def kept(self) -> NDArray[np.int64]:
        return self.orders.size + np.arange(self.periods * self.places).reshape(self.periods, self.places)

    @property
    def missing(self) -> NDArray[np.int64]:
        first = self.orders.size + self.kept.size
        return first + np.arange(self.periods * self.stores).reshape(self.periods, self.stores)

    @property
    def count(self) -> int:
        return self.periods * (self.edges + self.places + self.stores)


def _solve(layout: Layout, one: Scenarios, warmup: int) -> float:
    columns = _Columns(one.periods, layout.edges, layout.places, layout.stores)
    demand = one.demand[0, :, one.history :].double().numpy().T
    balance, right = _balance(layout, one, columns, demand)
    supply, stock = _supply(layout, one, columns)
    price = np.zeros(columns.count)
    price[columns.orders[warmup:]] = layout.unit_cost[0].numpy()
    price[columns.kept[warmup:]] = layout.holding_cost[0].numpy()
    price[columns.missing[warmup:]] = layout.underage_cost[0].numpy()
    most = np.full(columns.count, np.inf)
    most[columns.kept[:, ~layout.keeps.numpy()]] = 0.0
    if layout.unmet_is_lost:
        most[columns.missing] = demand
    solved = linprog(
        price, A_ub=supply, b_ub=stock, A_eq=balance, b_eq=right, bounds=np.stack((np.zeros_like(most), most), axis=1),
        method="highs",
    )  # fmt: skip
    if solved.status != 0:
        raise RuntimeError(f"the clairvoyant's program was not solved: {solved.message}")
    return float(solved.fun) / (one.periods - warmup) / layout.stores


def _balance(layout: Layout, one: Scenarios, columns: _Columns, demand: Floats) -> tuple[coo_array, Floats]:
    """Of every place and period: what comes is what leaves, is sold or is kept. Rows are (period, place)."""
    rows = np.arange(columns.periods * columns.places).reshape(columns.periods, columns.places)
    stores = rows[:, layout.warehouses :]
    source, target, lead = layout.source.numpy(), layout.target.numpy(), layout.lead_time[0].numpy()
    entries = [(rows, columns.kept, 1.0), (rows[1:], columns.kept[:-1], -1.0), (stores, columns.missing, -1.0)]
    if not layout.unmet_is_lost:  # what was missing is still owed
        entries.append((stores[1:], columns.missing[:-1], 1.0))
    for edge in range(columns.edges):
        if source[edge] < columns.places:
            entries.append((rows[:, source[edge]], columns.orders[:, edge], 1.0))
        entries.append((rows[lead[edge] :, target[edge]], columns.orders[: -lead[edge], edge], -1.0))
    right = _arrivals(one, columns)
    right[:, layout.warehouses :] -= demand
    return _matrix(entries, rows.size, columns.count), right.ravel()


def _supply(layout: Layout, one: Scenarios, columns: _Columns) -> tuple[coo_array, Floats]:
    """Of every place that supplies others: what is shipped in a period was there at its start; (period, place)."""
    source, target, lead = layout.source.numpy(), layout.target.numpy(), layout.lead_time[0].numpy()
    rows = np.arange(columns.periods * columns.places).reshape(columns.periods, columns.places)
    entries = [(rows[1:], columns.kept[:-1], -1.0)]
    if not layout.unmet_is_lost:
        stores = rows[1:, layout.warehouses :]
        entries.append((stores, columns.missing[:-1], 1.0))
    for edge in range(columns.edges):
        if source[edge] < columns.places:
            entries.append((rows[:, source[edge]], columns.orders[:, edge], 1.0))
        entries.append((rows[lead[edge] :, target[edge]], columns.orders[: -lead[edge], edge], -1.0))
    supplies = np.isin(np.arange(columns.places), source)
    stock = np.where(supplies, _arrivals(one, columns), np.inf)
    if not layout.unmet_is_lost:
        # A store that owes its customers ships nothing, but may still owe.
        stock[:, layout.warehouses :] = np.inf
    chosen = np.isfinite(stock).ravel()
    matrix = _matrix(entries, rows.size, columns.count).tocsr()[chosen]
    return matrix, stock.ravel()[chosen]


def _arrivals(one: Scenarios, columns: _Columns) -> Floats:
    """What the opening stock brings to each place in each period, (period, place)."""
    opening = np.zeros((columns.periods, columns.places))
    opening[0] = one.on_hand[0].double().numpy()
    pipeline = one.in_transit[0].double().numpy().T[: columns.periods - 1]
    opening[1 : 1 + len(pipeline)] += pipeline
    return opening


def _matrix(entries: list[tuple[NDArray, NDArray, float]], rows: int, columns: int) -> coo_array:
    row = np.concatenate([np.ravel(entry[0]) for entry in entries])
    column = np.concatenate([np.ravel(entry[1]) for entry in entries])
    value = np.concatenate([np.full(np.size(entry[0]), entry[2]) for entry in entries])
    return coo_array((value, (row, column)), shape=(rows, columns))
