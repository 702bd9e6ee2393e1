"""The bound at the empirical distribution itself: an estimate, not a certificate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quaestor.certification.distortion import empirical_survival, mean_bounds


def plug_in(
    costs: NDArray[np.float64], cap: float, ratios: NDArray[np.float64], alpha: float = 0.5
) -> NDArray[np.float64]:
    """∫₀^cap g(Ŝ(t)) dt for each λ, (ratio,), from costs (episode,) in [0, cap].

    It makes no allowance for sampling; alpha is not used.
    """
    return mean_bounds(*empirical_survival(costs, cap), ratios)
