"""The family of bounds, by name."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quaestor.certification.clopper_pearson import clopper_pearson
from quaestor.certification.dkw import dkw


class Bound(Protocol):
    """Bounds the mean cost, in [0, cap], that any attack within the budget can cause."""

    def __call__(self, costs: NDArray[np.float64], cap: float, ratio: float, alpha: float) -> float:
        """costs (episode,) of smoothed episodes; ratio λ is budget / noise scale; fails with probability ≤ alpha."""


BOUNDS: dict[str, Bound] = {"dkw": dkw, "clopper-pearson": clopper_pearson}
