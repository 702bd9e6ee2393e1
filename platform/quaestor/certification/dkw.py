"""A bound from the Dvoretzky–Kiefer–Wolfowitz band."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from quaestor.certification.distortion import empirical_survival, mean_bound


def dkw(costs: NDArray[np.float64], cap: float, ratio: float, alpha: float) -> float:
    """An upper bound on the attacked mean cost that fails with probability at most alpha.

    The empirical survival function is raised by √(ln(1/α)/2m) everywhere (one-sided band, Massart 1990, valid
    for α ≤ 1/2). costs (episode,) are independent and clipped to [0, cap]; ratio λ is budget / noise scale.
    """
    if not 0 < alpha <= 0.5:
        raise ValueError(f"the one-sided DKW band needs 0 < alpha <= 0.5, found {alpha}.")
    levels, survival = empirical_survival(costs, cap)
    band = math.sqrt(math.log(1 / alpha) / (2 * len(costs)))
    return mean_bound(levels, np.minimum(survival + band, 1.0), ratio)
