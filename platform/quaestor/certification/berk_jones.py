"""A bound from the Berk–Jones band, at its exact level."""

from __future__ import annotations

import math
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betaincinv, gammaln

from quaestor.certification.crossing_table import crossing_from_table
from quaestor.certification.distortion import band_survival, mean_bounds

Array = NDArray[np.float64]

EXACT_UP_TO = 2000
"""Episodes for which the level is computed; above it comes from a table of the same computation."""
NEGLIGIBLE = 1e-18


def berk_jones(costs: Array, cap: float, ratios: Array, alpha: float) -> Array:
    """An upper bound on the attacked mean cost for each λ, (ratio,), that fails with probability at most alpha.

    The i-th smallest of m uniforms is Beta(i, m − i + 1); survival beyond the i-th smallest cost is at most one
    minus the γ-quantile of that law, for all i at once with probability 1 − α (Berk and Jones 1979 in the form of
    Moscovich, Nadler and Spiegelman, EJS 2016, section 2). The bounds hold for all λ simultaneously. costs
    (episode,) are independent and clipped to [0, cap].
    """
    return mean_bounds(*band_survival(costs, cap, _upper(len(costs), alpha)), ratios)


@lru_cache(maxsize=4)
def _upper(episodes: int, alpha: float) -> Array:
    """At most this share lies above, where i of the episodes lie at or below, (episode + 1,)."""
    upper = np.concatenate(([1.0], 1 - quantiles(episodes, pointwise_level(episodes, alpha))))
    upper.setflags(write=False)
    return upper


@cache
def pointwise_level(episodes: int, alpha: float) -> float:
    """The γ at which the lower γ-quantiles of all order statistics hold together with probability 1 − alpha."""

    def excess(log_level: float) -> float:
        level = math.exp(log_level)
        if episodes <= EXACT_UP_TO:
            crossed = crossing(quantiles(episodes, level))
        else:
            crossed = crossing_from_table(episodes, level)
        return math.log(max(crossed, 1e-300) / alpha)

    lowest = math.log(alpha / (20 + 20 * math.log(episodes + 1)))
    if excess(lowest) > 0:  # rounding hides a crossing as rare as this; a union over the episodes holds in any case
        return alpha / episodes
    return math.exp(brentq(excess, lowest, math.log(alpha), xtol=1e-9)) * (1 - 1e-6)


def quantiles(episodes: int, level: float) -> Array:
    """The lower quantiles at a level of the order statistics of uniforms, (episode,)."""
    rank = np.arange(1, episodes + 1)
    return np.asarray(betaincinv(rank, episodes - rank + 1, level))


def crossing(lower: Array) -> float:
    """The probability that some order statistic of m uniforms lies below its bound; lower (m,), increasing.

    As a Poisson process that must not count i before lower[i−1], conditioned on m in all (Moscovich and Nadler,
    "Fast calculation of boundary crossing probabilities for Poisson processes", SPL 2017).
    """
    m = len(lower)
    means = m * np.diff(np.concatenate(([0.0], lower, [1.0])))
    counts, fewest = np.ones(1), 0
    for i, mean in enumerate(means[:-1]):
        counts = np.convolve(counts, _poisson(mean, np.arange(_most(mean))))[: i + 1 - fewest]
        if i % 16 == 0:
            cut = int(np.searchsorted(np.cumsum(counts), NEGLIGIBLE * counts.sum()))
            counts, fewest = counts[cut:], fewest + cut
    remaining = m - fewest - np.arange(len(counts))
    stayed = counts @ _poisson(means[-1], remaining) / _poisson(float(m), np.array([m]))[0]
    return 1 - float(stayed)


def _poisson(mean: float, counts: NDArray[np.int64]) -> Array:
    if mean == 0:
        return np.asarray(counts == 0, dtype=np.float64)
    return np.asarray(np.exp(-mean + counts * math.log(mean) - gammaln(counts + 1)))


def _most(mean: float) -> int:
    """More events than a Poisson variable with this mean can be expected to show, ever."""
    return int(mean + 10 * math.sqrt(mean) + 20)
