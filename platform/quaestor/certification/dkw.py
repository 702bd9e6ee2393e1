"""A bound from the Dvoretzky–Kiefer–Wolfowitz band."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from quaestor.certification.distortion import empirical_survival, mean_bounds


def dkw(costs: NDArray[np.float64], cap: float, ratios: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """An upper bound on the attacked mean cost for each λ, (ratio,), that fails with probability at most alpha.

    The empirical survival function is raised by √(ln(1/α)/2m) everywhere (one-sided band, Massart 1990, valid
    for α ≤ 1/2). One band serves all λ: the bounds hold simultaneously. costs (episode,) are independent and
    clipped to [0, cap]. Raises ValueError for an alpha above 1/2.
    """
    if not 0 < alpha <= 0.5:
        raise ValueError(f"the one-sided DKW band needs 0 < alpha <= 0.5, found {alpha}.")
    levels, survival = empirical_survival(costs, cap)
    band = math.sqrt(math.log(1 / alpha) / (2 * len(costs)))
    return mean_bounds(levels, np.minimum(survival + band, 1.0), ratios)
