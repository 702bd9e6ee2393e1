"""Intervals around an estimate, each with what it assumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from quaestor.ope.contributions import Contributions

_ASSUMPTIONS = {
    "normal": "independent rounds, and enough of them for the central limit theorem",
    "bootstrap-t": "independent rounds, and a sample that shows the tail of the weights",
    "empirical Bernstein": "independent rounds and terms within a range that was known beforehand; any number of them",
    "block bootstrap": "periods that are stationary, with dependence shorter than a block, and exchangeable series",
    "betting": "one mean throughout and terms within a range that was known beforehand; valid at every moment",
    "betting, mean-bounded": "one mean throughout, rewards in [0, 1] and right propensities, however large the "
    "weights; valid at every moment",
}


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

    @property
    def assumes(self) -> str:
        """What must hold for the interval to cover as often as it says."""
        return _ASSUMPTIONS.get(self.method, "unknown to this version")


def check_confidence(confidence: float) -> None:
    """Raises ValueError for a confidence that is not between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, found {confidence}.")


def normal_interval(contributions: Contributions, confidence: float = 0.95) -> Interval:
    """value ± t·s/√n. Assumes independent rounds and enough of them for the central limit theorem to hold for
    their weighted rewards: see `Overlap` for whether there are."""
    influence = contributions.influence
    return _around(contributions.value, influence, confidence)


def paired_interval(differences: NDArray[np.float64], confidence: float = 0.95) -> Interval:
    """The mean of paired differences (pair,) ± t·s/√n. Assumes independent pairs."""
    value = float(differences.mean())
    return _around(value, differences - value, confidence)


def unpaired_interval(first: Contributions, second: Contributions, confidence: float = 0.95) -> Interval:
    """The difference first minus second of two values from different rounds, ± z·√(s₁²/n₁ + s₂²/n₂)."""
    check_confidence(confidence)
    value = first.value - second.value
    reach = float(ndtri(0.5 + confidence / 2)) * float(
        np.hypot(standard_error(first.influence), standard_error(second.influence))
    )
    return Interval(value, value - reach, value + reach, confidence, "normal")


def standard_error(influence: NDArray[np.float64]) -> float:
    """s/√n of an influence function (round,) with mean 0; raises ValueError for fewer than 2 rounds."""
    n = len(influence)
    if n < 2:
        raise ValueError(f"an interval needs 2 or more rounds or pairs, found {n}.")
    return float(np.sqrt(influence @ influence / (n - 1) / n))


def _around(value: float, centred: NDArray[np.float64], confidence: float) -> Interval:
    check_confidence(confidence)
    reach = float(stdtrit(len(centred) - 1, 0.5 + confidence / 2)) * standard_error(centred)
    return Interval(value, value - reach, value + reach, confidence, "normal")
