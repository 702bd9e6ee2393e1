"""A lower bound for stores behind a cross-dock: what perfectly balanced stock would cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm


def transshipment_bound(
    covariance: NDArray[np.float64], cross_dock_lead_time: int, store_lead_time: int, holding: float, underage: float
) -> float:
    """No policy of a cross-dock that cannot hold stock costs less, per store and period.

    covariance (store, store): of one period's normal demand, not clipped, in units², independent between periods.
    Unmet demand is backlogged; holding and underage are per unit and period, alike at every store. The relaxation lets
    goods be allotted negatively, so that stock is always balanced: then all that counts is the demand of all stores
    while goods travel to the cross-dock, plus the sum of the stores' own spreads afterwards (Eppen and Schrage 1981,
    "Centralized ordering policies in a multi-warehouse system"; Federgruen and Zipkin 1984), so that the bound for all
    stores is (h + p) φ(Φ⁻¹(p / (p + h))) √(L_c Var(Σ D) + (L_s + 1)(Σ σ)²).
    """
    if cross_dock_lead_time < 1 or store_lead_time < 1:
        raise ValueError(f"lead times must be 1 or more, found {cross_dock_lead_time} and {store_lead_time}.")
    spreads = np.sqrt(np.diag(covariance)).sum()
    variance = cross_dock_lead_time * covariance.sum() + (store_lead_time + 1) * spreads**2
    score = norm.ppf(underage / (underage + holding))
    return float((holding + underage) * norm.pdf(score) * np.sqrt(variance) / len(covariance))
