"""Intervals around an estimate, each with what it assumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from quaestor.ope.contributions import Contributions


@dataclass(frozen=True)
class Interval:
    """An estimate and a two-sided interval at `confidence`, by the named method."""

    value: float
    lower: float
    upper: float
    confidence: float
    method: str

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.lower > 0 or self.upper < 0


def normal_interval(contributions: Contributions, confidence: float = 0.95) -> Interval:
    """value ± t·s/√n. Assumes independent rounds and enough of them for the central limit theorem to hold for
    their weighted rewards: see `Overlap` for whether there are."""
    influence = contributions.influence
    return _around(contributions.value, influence, confidence)


def paired_interval(differences: NDArray[np.float64], confidence: float = 0.95) -> Interval:
    """The mean of paired differences (pair,) ± t·s/√n. Assumes independent pairs."""
    value = float(differences.mean())
    return _around(value, differences - value, confidence)


def _around(value: float, centred: NDArray[np.float64], confidence: float) -> Interval:
    n = len(centred)
    if n < 2:
        raise ValueError(f"an interval needs 2 or more rounds or pairs, found {n}.")
    error = float(np.sqrt(np.square(centred).sum() / (n - 1) / n))
    reach = float(stats.t.ppf(0.5 + confidence / 2, n - 1)) * error
    return Interval(value, value - reach, value + reach, confidence, "normal")
