"""What every estimator returns: a value, and how much each round moves it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Contributions:
    """An estimated value (mean reward a round) and its influence function, (round,), with mean 0.

    To first order the estimate's error is the mean of the influence, so that differences between policies on the
    same rounds are differences of influences (van der Vaart 1998, "Asymptotic Statistics", section 25.3).
    linear: the value is the plain mean of one independent term a round, which some intervals ask for.
    """

    value: float
    influence: NDArray[np.float64]
    linear: bool = False

    def minus(self, other: Contributions) -> Contributions:
        """The difference in value to another policy, on the same rounds."""
        return Contributions(self.value - other.value, self.influence - other.influence, self.linear and other.linear)

    @property
    def terms(self) -> NDArray[np.float64]:
        """The independent terms, (round,), whose mean the value is; raises ValueError where there are none."""
        if not self.linear:
            raise ValueError("a self-normalised value is no mean of independent terms; use IPS, DR or their kin.")
        return self.influence + self.value


def from_terms(terms: NDArray[np.float64]) -> Contributions:
    """The mean of one independent term a round, (round,)."""
    value = float(terms.mean())
    return Contributions(value, terms - value, linear=True)
