"""What an estimator is."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from quaestor.ope.contributions import Contributions
from quaestor.ope.target_rounds import TargetRounds


class Estimator(Protocol):
    """Estimates the value of a target policy from matured rounds."""

    def __call__(self, rounds: TargetRounds) -> Contributions:
        """The value, and how much each round moves it."""


def paired_difference(estimator: Estimator, candidate: TargetRounds, incumbent: TargetRounds) -> Contributions:
    """The difference in value between two target policies, candidate minus incumbent, on the same rounds.

    Raises ValueError when they are not the same rounds.
    """
    if candidate.source is not incumbent.source or not np.array_equal(candidate.reward, incumbent.reward):
        raise ValueError("a paired difference needs the same rounds for both policies.")
    return estimator(candidate).minus(estimator(incumbent))
