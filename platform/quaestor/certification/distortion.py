"""How far a budget can move a probability, and what that does to a mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri


def distort(probability: NDArray[np.float64], ratio: float) -> NDArray[np.float64]:
    """g(p) = Φ(Φ⁻¹(p) + λ): the most that P(C > t) can become under an attack, with λ = budget / noise scale.

    Theorem 1 of arXiv 2106.11420; concave in p, with g(0) = 0 and g(1) = 1.
    """
    return np.asarray(ndtr(ndtri(probability) + ratio))


def mean_bound(levels: NDArray[np.float64], survival: NDArray[np.float64], ratio: float) -> float:
    """∫ g(S(t)) dt for a step survival function: `survival[i]` holds on [levels[i], levels[i+1]), (step,).

    levels (step + 1,) increase from 0 to the cap, in the units of cost: a Wang transform of the mean.
    """
    return float(distort(survival, ratio) @ np.diff(levels))


def empirical_survival(costs: NDArray[np.float64], cap: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Levels (step + 1,) and the share of episodes (step,) whose cost, clipped to [0, cap], exceeds each level."""
    ordered = np.sort(np.clip(costs, 0.0, cap))
    levels = np.concatenate(([0.0], ordered, [cap]))
    exceeding = np.arange(len(ordered), -1, -1) / len(ordered)
    return levels, exceeding
