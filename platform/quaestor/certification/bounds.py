"""The family of bounds, by name."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quaestor.certification.berk_jones import berk_jones
from quaestor.certification.clopper_pearson import clopper_pearson
from quaestor.certification.dkw import dkw
from quaestor.certification.tangent import tangent_betting


class Bound(Protocol):
    """Bounds the mean cost, in [0, cap], that any attack within the budget can cause."""

    def __call__(
        self, costs: NDArray[np.float64], cap: float, ratios: NDArray[np.float64], alpha: float
    ) -> NDArray[np.float64]:
        """costs (episode,) of smoothed episodes, independent and in their order; ratios λ = budget / noise scale.

        Returns a bound for each λ, (ratio,), which fails with probability at most alpha.
        """


BOUNDS: dict[str, Bound] = {
    "dkw": dkw,
    "clopper-pearson": clopper_pearson,
    "berk-jones": berk_jones,
    "tangent-betting": tangent_betting,
}
SIMULTANEOUS = frozenset({"dkw", "clopper-pearson", "berk-jones"})
"""Bounds from one band: all λ hold together at the same alpha."""
