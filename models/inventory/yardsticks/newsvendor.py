"""The newsvendor: one purchase before one period of random demand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from models.inventory.yardsticks.grid_demand import GridDemand


@dataclass(frozen=True)
class NewsvendorOptimum:
    """The best quantity, in units, and the expected cost of what is left over and what is missing."""

    quantity: float
    cost: float


def normal_newsvendor(mean: float, standard_deviation: float, holding: float, underage: float) -> NewsvendorOptimum:
    """For normal demand, not clipped: the underage / (underage + holding) quantile, and (h + p) φ(z) σ.

    holding and underage are per unit left over and missing (Zipkin 2000, "Foundations of Inventory Management",
    section 6.4).
    """
    score = norm.ppf(underage / (underage + holding))
    cost = (holding + underage) * norm.pdf(score) * standard_deviation
    return NewsvendorOptimum(float(mean + score * standard_deviation), float(cost))


def grid_newsvendor(demand: GridDemand, holding: float, underage: float) -> NewsvendorOptimum:
    """For demand in steps: the smallest quantity that covers it with chance underage / (underage + holding)."""
    ratio = underage / (underage + holding)
    # A chance that only float noise keeps below the ratio has reached it.
    quantity = float(np.searchsorted(demand.chance.cumsum(), ratio - 1e-12) * demand.step)
    left = quantity - demand.units
    cost = (holding * np.maximum(left, 0) + underage * np.maximum(-left, 0)) @ demand.chance
    return NewsvendorOptimum(quantity, float(cost))
