"""Chooses how sharply to exploit from a log: as much exploration as its estimated cost allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.payments.exploration.best import refuse_floor
from models.payments.exploration.epsilon_greedy import EpsilonGreedy
from models.payments.exploration.fast_inverse_gap import FastInverseGap
from models.payments.exploration.inverse_gap import InverseGap
from models.payments.exploration.rule import Beliefs, Exploration
from models.payments.exploration.softmax import Softmax
from quaestor.log.batch import MaturedBatch
from quaestor.ope.dr import dr
from quaestor.ope.target_rounds import target_rounds

GAMMAS = (50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0)
"""Grids in order of falling exploration, rewards between 0 and 1: γ of inverse-gap weighting,"""
FAST_GAMMAS = (10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0)
"""γ of the same for small losses,"""
SHARPNESSES = (5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
"""λ of softmax,"""
EPSILONS = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
"""and ε."""


@dataclass(frozen=True)
class Tuned:
    """A rule whose γ, λ or ε is the first on a grid, in order of falling exploration, that costs at most `cost`, in
    reward a round, by off-policy evaluation on a quarter of the training rounds."""

    kind: Literal["tuned"] = "tuned"
    rule: Literal["inverse_gap", "fast_inverse_gap", "softmax", "epsilon_greedy"] = "inverse_gap"
    cost: float = 0.005
    floor: float = 0.01

    def __post_init__(self) -> None:
        refuse_floor(self.floor)
        if not self.cost >= 0:
            raise ValueError(f"cost must be 0 or more, found {self.cost}.")

    def rules(self) -> list[Exploration]:
        """The grid, in order of falling exploration."""
        match self.rule:
            case "inverse_gap":
                return [InverseGap(gamma=gamma, floor=self.floor) for gamma in GAMMAS]
            case "fast_inverse_gap":
                return [FastInverseGap(gamma=gamma, floor=self.floor) for gamma in FAST_GAMMAS]
            case "softmax":
                return [Softmax(sharpness=sharpness, floor=self.floor) for sharpness in SHARPNESSES]
            case "epsilon_greedy":
                return [EpsilonGreedy(epsilon=max(epsilon, self.floor)) for epsilon in EPSILONS]


def most_exploring(
    rules: Sequence[Exploration], batch: MaturedBatch, beliefs: Beliefs, cost: float
) -> tuple[Exploration, NDArray[np.float64]]:
    """Of rules in order of falling exploration, the first whose doubly robust value on held-out rounds lies at most
    `cost` (in reward a round) below the best one's; and the value of each.

    batch and beliefs (round, action) are of the same rounds, which did not teach the oracle. The values share rounds
    and predictions, so that their differences are far more certain than the values are.
    """
    if not rules or not cost >= 0:
        raise ValueError("most_exploring needs a rule at least and a cost of 0 or more.")
    values = np.array(
        [
            dr(target_rounds(batch, rule.probabilities(beliefs, batch.logged.eligible), beliefs.scores)).value
            for rule in rules
        ]
    )
    return rules[int((values >= values.max() - cost).argmax())], values
