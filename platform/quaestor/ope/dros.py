"""The doubly robust estimator with optimistic shrinkage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quaestor.ope.contributions import Contributions, from_terms
from quaestor.ope.target_rounds import TargetRounds


@dataclass(frozen=True)
class DRos:
    """V = mean of Σ_a π(a|x) q(x,a) + ŵ·(r − q(x,a taken)) with ŵ = λw / (w² + λ) (Su, Dimakopoulou, Krishnamurthy
    and Dudík 2020, equation 5).

    shrinkage λ: 0 is the direct method, infinity plain DR. Its influence knows nothing of the bias that
    shrinking brings, so that it never decides alone (rule R11).
    """

    shrinkage: float = 100.0

    def __post_init__(self) -> None:
        if not self.shrinkage >= 0:
            raise ValueError(f"shrinkage must be 0 or more, found {self.shrinkage}.")

    def __call__(self, rounds: TargetRounds) -> Contributions:
        """Raises ValueError without predicted rewards."""
        expected, taken = rounds.model("DRos")
        weight = rounds.weight
        if self.shrinkage == 0:
            return from_terms(expected)
        if np.isfinite(self.shrinkage):
            weight = weight / (np.square(weight) / self.shrinkage + 1.0)
        return from_terms(expected + weight * (rounds.reward - taken))
