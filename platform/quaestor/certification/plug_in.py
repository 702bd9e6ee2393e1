"""The bound at the empirical distribution itself: an estimate, not a certificate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quaestor.certification.distortion import empirical_survival, mean_bound


def plug_in(costs: NDArray[np.float64], cap: float, ratio: float, alpha: float) -> float:
    """∫₀^cap g(Ŝ(t)) dt, (episode,) costs in [0, cap]; makes no allowance for sampling, alpha is not used."""
    levels, survival = empirical_survival(costs, cap)
    return mean_bound(levels, survival, ratio)
