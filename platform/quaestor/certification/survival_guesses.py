"""Guesses of a survival function from a few costs: what the tangent dual touches. A bad guess costs width only."""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]

BODY, TAIL = 192, 48
"""Knots at even and at geometric ranks of the pilot, the latter close together at its largest costs."""

FEWEST_TO_FIT = 8


def knots(pilot: Array, cap: float) -> Array:
    """Levels (knot,) from 0 to the cap between which a guess is constant; close where the pilot's costs are."""
    m, ordered = len(pilot), np.sort(pilot)
    ranks = np.concatenate((np.linspace(0, m - 1, BODY), m - np.geomspace(1, m, TAIL))).astype(np.int64)
    return np.unique(np.concatenate(([0.0], ordered[ranks], np.linspace(ordered[-1], cap, TAIL), [cap])))


def guesses(costs: Array, cap: float, grid: Array) -> dict[str, Array]:
    """Survival functions by name, each (step,) on the intervals of grid: from empirical to wholly parametric."""
    ordered, m = np.sort(costs), len(costs)
    middle = (grid[1:] + grid[:-1]) / 2
    empirical = np.clip(_empirical(ordered, grid), 0.0, 1.0)
    made = {"empirical": empirical}
    top = min(m - 1, max(5, math.isqrt(m)))
    start = ordered[m - 1 - top]
    beyond = ordered[ordered > start] - start
    if len(beyond) and ordered[-1] < cap and beyond.mean() > 1e-9 * cap:
        decay = float(beyond.mean())
        last = middle > ordered[-1]
        made["empirical"] = np.where(last, 0.7 / m * np.exp(-np.maximum(middle - ordered[-1], 0) / decay), empirical)
        tail = len(beyond) / m * np.exp(-np.maximum(middle - start, 0) / decay)
        made["exponential tail"] = np.where(middle > start, tail, empirical)
    if ordered[0] < ordered[-1] and m >= FEWEST_TO_FIT:
        scores = ndtri((np.arange(m) + 0.5) / m)
        late = middle > ordered[int(0.9 * m)]
        for degree, name in ((1, "normal"), (2, "skewed")):
            fitted = _normal_scores(Polynomial.fit(scores, ordered, degree), middle)
            made[name] = fitted
            made[f"{name} tail"] = np.where(late, np.minimum(fitted, 0.1), empirical)
    return made


def _empirical(ordered: Array, grid: Array) -> Array:
    """The mean of the empirical survival function on each interval, (step,): from E[min(C, t)] at its ends."""
    below = np.searchsorted(ordered, grid, side="right")
    sums = np.concatenate(([0.0], np.cumsum(ordered)))
    limited = (sums[below] + grid * (len(ordered) - below)) / len(ordered)
    return np.diff(limited) / np.diff(grid)


def _normal_scores(quantile: Polynomial, levels: Array) -> Array:
    """The survival function whose quantile at Φ(z) is a polynomial in z, kept from falling."""
    scores = np.linspace(-4.0, 7.0, 1200)
    return np.asarray(ndtr(-np.interp(levels, np.maximum.accumulate(quantile(scores)), scores, left=-8.0, right=8.0)))
