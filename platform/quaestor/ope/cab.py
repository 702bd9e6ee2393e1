"""Continuous adaptive blending of a reward model and importance weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quaestor.ope.contributions import Contributions, from_terms
from quaestor.ope.target_rounds import TargetRounds


@dataclass(frozen=True)
class CAB:
    """V = mean of Σ_a π(a|x) max(0, 1 − M/w(x,a)) q(x,a) + min(w, M)·r (Su, Wang, Santacatterina and Joachims 2019,
    section 4).

    cap M: weights are cut there, and the model stands in for what was cut off. Its influence knows nothing of the
    model's error in that part, so that it never decides alone (rule R11).
    """

    cap: float = 10.0

    def __post_init__(self) -> None:
        if not self.cap >= 0:
            raise ValueError(f"cap must be 0 or more, found {self.cap}.")

    def __call__(self, rounds: TargetRounds) -> Contributions:
        """Raises ValueError without predicted rewards, or where the log lacks the probabilities of actions that
        it did not take."""
        rounds.model("CAB")
        if rounds.logging is None or rounds.predicted is None:
            raise ValueError("CAB needs the logged probabilities of every action, not only of those taken.")
        # π·max(0, 1 − M·μ/π) is π − M·μ where that is above 0.
        cut = np.maximum(rounds.target - self.cap * rounds.logging, 0.0)
        modelled = np.where(cut > 0, cut * rounds.predicted, 0.0).sum(axis=1)
        return from_terms(modelled + np.minimum(rounds.weight, self.cap) * rounds.reward)
