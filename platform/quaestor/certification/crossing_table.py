"""Crossing probabilities of Berk–Jones bands for many episodes, computed once by `berk_jones.crossing`."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy.interpolate import RectBivariateSpline

from quaestor.errors import UsageError

LEVELS = (1e-08, 1e-07, 1e-06, 1e-05, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
"""Pointwise levels γ, the columns."""
CROSSINGS = {
    1_000: (
        1.0850835e-06,
        9.7021792e-06,
        8.4885163e-05,
        0.00071952035,
        0.0057973957,
        0.015244259,
        0.042495793,
        0.10322347,
        0.25048556,
        0.49370486,
        0.82162512,
    ),
    3_000: (
        1.4163204e-06,
        1.2553363e-05,
        0.00010875437,
        0.00091137177,
        0.0072393945,
        0.018870626,
        0.051954523,
        0.12417815,
        0.29318224,
        0.55532466,
        0.86849192,
    ),
    10_000: (
        1.7878346e-06,
        1.5742193e-05,
        0.0001353699,
        0.0011245712,
        0.0088340296,
        0.022864046,
        0.0622811,
        0.14668716,
        0.3373166,
        0.6143793,
        0.9058711,
    ),
    30_000: (
        2.1300805e-06,
        1.8676055e-05,
        0.00015982548,
        0.0013201676,
        0.010292869,
        0.026505969,
        0.071628994,
        0.1667561,
        0.37521971,
        0.66142402,
        0.93063262,
    ),
    100_000: (
        2.5066732e-06,
        2.1901489e-05,
        0.00018669619,
        0.0015349265,
        0.011891558,
        0.030486385,
        0.081775315,
        0.18822096,
        0.41428653,
        0.70642458,
        0.95035712,
    ),
    300_000: (
        2.8499743e-06,
        2.4847331e-05,
        0.00021123823,
        0.0017310038,
        0.013348901,
        0.034105868,
        0.090939828,
        0.2073286,
        0.44780322,
        0.74224967,
        0.9634179,
    ),
    1_000_000: (
        3.2267886e-06,
        2.8077453e-05,
        0.00023814315,
        0.0019459015,
        0.014943851,
        0.038057561,
        0.10087931,
        0.22775404,
        0.48233706,
        0.77651068,
        0.97382042,
    ),
}
"""For each number of episodes the probability that any order statistic lies below its γ-quantile."""


def crossing_from_table(episodes: int, level: float) -> float:
    """The crossing probability at a pointwise level, interpolated: −log(1 − p)/γ is smooth in log m and log γ.

    Raises UsageError beyond the table.
    """
    if episodes > max(CROSSINGS):
        raise UsageError(
            f"The Berk–Jones band is known up to {max(CROSSINGS):,} episodes, found {episodes:,}; use tangent-betting."
        )
    bounded = min(max(level, LEVELS[0]), LEVELS[-1])
    intensity = math.exp(float(_spline()(math.log(episodes), math.log(bounded))[0, 0]))
    return -math.expm1(-level * intensity)


@cache
def _spline() -> RectBivariateSpline:
    table = np.array([CROSSINGS[episodes] for episodes in CROSSINGS])
    intensity = -np.log1p(-table) / np.array(LEVELS)
    return RectBivariateSpline(np.log(list(CROSSINGS)), np.log(LEVELS), np.log(intensity))
