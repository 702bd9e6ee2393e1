"""Coarser demand that can only be cheaper to serve: what makes a discretised optimum a lower bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.special import ndtr

from models.inventory.yardsticks.grid_demand import Floats

CELLS = 8
"""Tangents a lattice step: more of them leave less of the spread of demand behind."""


class TooCoarseError(ValueError):
    """Demand spreads too little for a lattice of this step."""


@dataclass(frozen=True)
class DemandClass:
    """Normal demand, clipped at 0, in the periods in which a signal lies in an interval.

    mean, deviation: of the normal, in units. correlation: with the signal, a standard normal. low, high: the interval.
    """

    mean: float
    deviation: float
    correlation: float
    low: float
    high: float

    @property
    def chance(self) -> float:
        """How probable the class is."""
        return float(ndtr(self.high) - ndtr(self.low))

    def beyond(self, units: Floats) -> tuple[Floats, Floats]:
        """Expected demand beyond each quantity (unit,), 0 or more, and the chance that there is any."""
        nodes, weights = np.polynomial.legendre.leggauss(400)
        low, high = max(self.low, -9.0), min(self.high, 9.0)
        signal = (low + high) / 2 + nodes * (high - low) / 2
        weights = weights * np.exp(-(signal**2) / 2)
        weights = weights / weights.sum()
        if self.correlation < 0.999:
            spread = self.deviation * np.sqrt(1 - self.correlation**2)
            score = (self.mean + self.correlation * self.deviation * signal - units[:, None]) / spread
            density = np.exp(-(score**2) / 2) / np.sqrt(2 * np.pi)
            return (spread * (score * ndtr(score) + density)) @ weights, ndtr(score) @ weights
        # Demand is the signal itself: a normal between two limits, in closed form.
        from_here = np.clip((units - self.mean) / self.deviation, low, high)
        chance = ndtr(high) - ndtr(from_here)
        density = (np.exp(-(from_here**2) / 2) - np.exp(-(high**2) / 2)) / np.sqrt(2 * np.pi)
        total = self.deviation * density + (self.mean - units) * chance
        return total / self.chance, chance / self.chance


def contracted(beyond: Callable[[Floats], tuple[Floats, Floats]], step: float, most: float) -> Floats:
    """Probabilities of 0, 1, … steps of a demand of the same mean that is smaller in convex order, (cell,).

    `beyond` gives the expected demand beyond a quantity and the chance of any. A lattice law is smaller in convex order
    when its own expected demand beyond every quantity is (Shaked and Shanthikumar 2007, "Stochastic Orders", theorem
    3.A.1). That is piecewise linear, so it is enough to stay below one tangent of the other on every piece; among such
    laws, the one of largest variance is found by linear programming. `most`: units beyond which demand is negligible.
    Raises TooCoarseError where no lattice law of this step is smaller.
    """
    lattice = int(np.ceil(most / step))
    ends = np.arange(lattice * CELLS + 1) * (step / CELLS)
    touch = np.concatenate(([0.0], (ends[1:-1] + ends[2:]) / 2))  # of the first piece, its lower end
    height, slope = beyond(touch)
    mean = float(beyond(np.zeros(1))[0][0])
    units = np.arange(lattice + 1) * step
    bounds, shortfalls = [], []
    for end in (ends[:-1], ends[1:]):
        bounds.append(height - slope * (end - touch))
        shortfalls.append(np.maximum(units[None, :] - end[:, None], 0.0))
    solved = linprog(
        -(units**2),
        A_ub=np.concatenate(shortfalls)[1:],  # at 0 both expect their mean
        b_ub=np.concatenate(bounds)[1:],
        A_eq=np.stack((np.ones_like(units), units)),
        b_eq=np.array([1.0, mean]),
        method="highs",
    )
    if solved.status != 0:
        raise TooCoarseError(f"no law on a lattice of step {step} is smaller in convex order; take a finer one.")
    chance = np.maximum(solved.x, 0.0)
    return np.asarray(chance / chance.sum())
