"""SWITCH: the doubly robust correction only where the weight is moderate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quaestor.ope.contributions import Contributions, from_terms
from quaestor.ope.target_rounds import TargetRounds


@dataclass(frozen=True)
class SwitchDR:
    """V = mean of Σ_a π(a|x) q(x,a) + 1[w ≤ τ]·w·(r − q(x,a taken)) (Wang, Agarwal and Dudík 2017, section 4).

    threshold τ: where the model alone takes over. Its influence knows nothing of the bias that this brings, so
    that it never decides alone (rule R11).
    """

    threshold: float = 10.0

    def __post_init__(self) -> None:
        if not self.threshold >= 0:
            raise ValueError(f"threshold must be 0 or more, found {self.threshold}.")

    def __call__(self, rounds: TargetRounds) -> Contributions:
        """Raises ValueError without predicted rewards."""
        expected, taken = rounds.model("SWITCH-DR")
        weight = np.where(rounds.weight <= self.threshold, rounds.weight, 0.0)
        return from_terms(expected + weight * (rounds.reward - taken))
