"""An upper bound on the mean of bounded independent values, by betting that the mean is lower.

Against the hypothesis "the mean is m or more" a gambler with wealth 1 stakes on each value before seeing it; then
wealth is a supermartingale, and wealth 1/α refutes m at level α (Waudby-Smith and Ramdas, "Estimating means of
bounded random variables by betting", JRSS B 2024). With a fixed number of values the gambler wants the highest
chance of having 1/α at the end; for small stakes that is to replicate a digital option (Browne, "Reaching goals by
a deadline", Adv. Appl. Prob. 1999), whose bound tends to the normal one, 1.645 standard errors at α = 5 %, where
constant stakes come to 2.448.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Array = NDArray[np.float64]

LARGEST_STAKE = 0.98
"""Of what could be lost in one step; below 1, so that wealth stays above 0."""
GUARD = 0.01
"""The part of α that constant stakes get: they refute every mean far above, so that a finite grid is enough."""
GOAL = 0.97
"""The option pays a little more than 1/α, so that rounding does not keep wealth just short of it."""
CANDIDATES = 64
BLOCKS = 16
"""Stakes change after every 16th part of the values that remain."""
RUIN = 1e-6
"""Wealth from which 1/α is not reached any more."""
AVERAGED = 0.1
"""Constant stakes are placed on averages of consecutive values while that keeps them below this."""


def upper_mean(values: Array, alpha: float, variance: float, weight: float) -> float:
    """An upper bound on the mean of independent values (n,) in [0, 1]; fails with probability at most alpha.

    variance is a guess from elsewhere that counts as much as `weight` values; a bad guess costs width, never
    validity. Candidates lie on a fixed grid and are tested from the top down until one is not refuted: the mean
    can only be above the result if the candidate just below the mean was refuted wrongly.
    """
    top = constant_stakes(values, GUARD * alpha, variance)
    n = len(values)
    spacing = (4 * math.sqrt(variance / n) - math.log(GUARD * alpha) / n) / CANDIDATES
    highest = math.ceil(top / spacing)
    grid = np.asarray(spacing * np.arange(highest, max(highest - CANDIDATES, 0), -1), dtype=np.float64)
    refuted = _refuted(values, grid, (1 - GUARD) * alpha, variance, weight)
    kept = int(np.argmin(refuted)) if not refuted.all() else len(grid)
    return min(top, float(grid[kept - 1])) if kept else top


def constant_stakes(values: Array, alpha: float, variance: float) -> float:
    """As `upper_mean`, with one stake throughout: wider, but the smallest mean refuted refutes all above it."""
    stake = math.sqrt(-2 * math.log(alpha) / (len(values) * variance))
    together = max(1, int(AVERAGED / stake))
    averages = values[: len(values) // together * together].reshape(-1, together).mean(axis=1)
    stake = min(LARGEST_STAKE, stake * together)
    goal, mean = -math.log(alpha), float(averages.mean())
    for _ in range(200):  # Newton from below on a concave function; the nudge ends it above the root
        factor = 1 - stake * (averages - mean)
        short = goal - float(np.log(factor).sum())
        if short <= 0:
            return mean
        mean += short / float((stake / factor).sum()) + 1e-6 * math.sqrt(variance / len(values))
        if mean >= 1:
            break
    return 1.0


def _refuted(values: Array, grid: Array, alpha: float, variance: float, weight: float) -> NDArray[np.bool_]:
    """Which means of the grid (candidate,) come to wealth 1/alpha; those left with next to nothing do not."""
    n, goal = len(values), 1 / alpha
    wealth, running = np.ones(len(grid)), np.arange(len(grid))
    start, total, squares = 0, 0.0, 0.0
    limit = LARGEST_STAKE / np.maximum(1 - grid, 1e-9)
    while start < n and len(running):
        end = start + max(1, (n - start) // BLOCKS)
        chance = np.clip(GOAL * alpha * wealth[running], 1e-300, 1 - 1e-12)
        urgency = np.exp(-(ndtri(chance) ** 2) / 2) / math.sqrt(2 * math.pi) / chance
        seen = weight * variance + (squares - total**2 / start if start else 0.0)
        deviation = math.sqrt(max(seen / (weight + start), 1e-12))
        stake = np.minimum(urgency / (deviation * math.sqrt(n - start)), limit[running])
        block = values[start:end]
        wealth[running] *= _product(1 + stake * grid[running], stake, block)
        running = running[(wealth[running] < goal) & (wealth[running] > RUIN)]
        total, squares, start = total + float(block.sum()), squares + float(block @ block), end
    return np.asarray(wealth >= goal)


def _product(base: Array, stake: Array, block: Array) -> Array:
    """∏ (base − stake × value) over a block, (candidate,); halves are multiplied with each other, which is fast."""
    factors = np.multiply.outer(-stake, block)
    factors += base[:, None]
    length = len(block)
    with np.errstate(over="ignore", under="ignore"):
        while length > 1:
            half = length // 2
            np.multiply(factors[:, :half], factors[:, length - half : length], out=factors[:, :half])
            length -= half
    return factors[:, 0]
