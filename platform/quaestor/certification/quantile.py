"""A certificate for costs without a cap: a level that an attacked cost exceeds with a small probability only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import binom

from quaestor.errors import UsageError


def quantile_bound(costs: NDArray[np.float64], exceedance: float, ratio: float, alpha: float) -> float:
    """The level t with P_adv(C > t) ≤ exceedance under any attack of ratio λ, wrong with probability at most alpha.

    An order statistic of costs (episode,), which need no bound: P(C > t) ≤ p* = Φ(Φ⁻¹(exceedance) − λ) suffices,
    and the r-th smallest cost, r = min{r: P(Bin(m, 1 − p*) ≤ r − 1) ≥ 1 − α}, is such a level. A mean of unbounded
    cost has no distribution-free bound (Bahadur and Savage 1956). Raises UsageError where m is too small.
    """
    allowed = float(ndtr(ndtri(exceedance) - ratio))
    rank = int(binom.ppf(1 - alpha, len(costs), 1 - allowed)) + 1
    if rank > len(costs):
        needed = int(np.ceil(np.log(alpha) / np.log1p(-allowed)))
        raise UsageError(
            f"{len(costs):,} episodes cannot bound what is exceeded with probability {exceedance:g} at λ = {ratio:g}; "
            f"at least {needed:,} are needed."
        )
    return float(np.sort(costs)[rank - 1])
