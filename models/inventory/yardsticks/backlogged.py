"""The optimum of one store with backlogged demand: the newsvendor over lead time plus one period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.inventory.layout import Layout
from models.inventory.policies.base_stock import BaseStockParams, BaseStockPolicy
from models.inventory.yardsticks.grid_demand import normal_on_grid


@dataclass(frozen=True)
class BackloggedOptimum:
    """The best base-stock level, in units of inventory position, and its long-run average cost per period."""

    cost: float
    level: float


def backlogged_optimum(
    mean: float, standard_deviation: float, lead_time: int, holding: float, underage: float
) -> BackloggedOptimum:
    """The lowest long-run average cost of one store that backlogs unmet demand, and the level that attains it.

    Demand is normal and clipped at 0, in units a period, independent between periods; holding and underage are per
    unit and period. An order raised to level S in period t leaves S minus the demand of periods t to t + lead_time,
    so S is the underage / (underage + holding) quantile of demand over lead_time + 1 periods, and no policy does
    better (Zipkin 2000, "Foundations of Inventory Management", section 9.4). Clipping is not approximated away: at
    mean 5 and deviation 1.6 it lowers the cost by up to 0.05 %, seen in the third decimal. The law of one period,
    with its atom at 0, is put on a fine grid and convolved. Raises ValueError for a lead time below 1.
    """
    if lead_time < 1:
        raise ValueError(f"lead_time must be 1 or more, found {lead_time}.")
    total = normal_on_grid(mean, standard_deviation).over(lead_time + 1)
    # Between two grid points the distribution function is taken to be straight, as within a cell of mass.
    level = float(np.interp(underage / (underage + holding), total.chance.cumsum(), total.units + total.step / 2))
    left = level - total.units
    cost = float((holding * np.maximum(left, 0) + underage * np.maximum(-left, 0)) @ total.chance)
    return BackloggedOptimum(cost, level)


def base_stock_at(optimum: BackloggedOptimum, layout: Layout) -> BaseStockPolicy:
    """The optimal policy as one that a rollout can play on a network of one store."""
    policy = BaseStockPolicy(BaseStockParams(window=0), layout, typical_demand=1.0).to(layout.holding_cost.dtype)
    policy.level.data.fill_(optimum.level)
    return policy
