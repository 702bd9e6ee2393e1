"""How far a budget can move a probability, and what that does to a mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]


def distort(probability: Array, ratio: float) -> Array:
    """g(p) = Φ(Φ⁻¹(p) + λ): the most that P(C > t) can become under an attack, with λ = budget / noise scale.

    Theorem 1 of arXiv 2106.11420; concave in p, with g(0) = 0 and g(1) = 1.
    """
    return np.asarray(ndtr(ndtri(probability) + ratio))


def slope(probability: Array, ratio: float) -> Array:
    """g'(p) = exp(−λΦ⁻¹(p) − λ²/2), decreasing in p, for probabilities above 0."""
    if ratio == 0:
        return np.ones_like(probability)
    return np.asarray(np.exp(-ratio * ndtri(probability) - ratio**2 / 2))


def mean_bounds(levels: Array, survival: Array, ratios: Array) -> Array:
    """∫ g(S(t)) dt for a step survival function and each λ, (ratio,): a Wang transform of the mean.

    survival[i] holds on [levels[i], levels[i+1]), (step,); levels (step + 1,) increase from 0 to the cap, in the
    units of cost.
    """
    scores, widths = ndtri(survival), np.diff(levels)
    return np.array([ndtr(scores + ratio) @ widths for ratio in ratios])


def empirical_survival(costs: Array, cap: float) -> tuple[Array, Array]:
    """Levels (step + 1,) and the share of episodes (step,) whose cost, clipped to [0, cap], exceeds each level."""
    levels = _levels(costs, cap)
    exceeding = np.arange(len(costs), -1, -1) / len(costs)
    return levels, exceeding


def band_survival(costs: Array, cap: float, upper: Array) -> tuple[Array, Array]:
    """As `empirical_survival`, with upper[i] in place of the share where i episodes lie at or below, (episode + 1,)."""
    return _levels(costs, cap), upper


def _levels(costs: Array, cap: float) -> Array:
    return np.concatenate(([0.0], np.sort(np.clip(costs, 0.0, cap)), [cap]))
