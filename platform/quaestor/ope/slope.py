"""Chooses a tuning constant from the log itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from quaestor.ope.contributions import Contributions
from quaestor.ope.interval import normal_interval
from quaestor.ope.protocol import Estimator
from quaestor.ope.target_rounds import TargetRounds

GRID: tuple[float, ...] = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.0)
"""Constants of SWITCH-DR, DRos and CAB from the least biased to the steadiest."""


@dataclass(frozen=True)
class Slope:
    """The estimator of a family that SLOPE picks (Su, Srinath and Krishnamurthy 2020, algorithm 1).

    family makes the estimator of a constant; constants are ordered so that bias grows and the interval shrinks.
    The last constant is taken whose value agrees with those of all before it within their intervals. What is
    picked is still biased by an unknown amount, so that it never decides alone.
    """

    family: Callable[[float], Estimator]
    constants: Sequence[float] = GRID
    confidence: float = 0.95

    def __call__(self, rounds: TargetRounds) -> Contributions:
        """The estimate by the constant chosen."""
        return self.choose(rounds)[1]

    def choose(self, rounds: TargetRounds) -> tuple[float, Contributions]:
        """The constant chosen and its estimate."""
        tried: list[tuple[float, Contributions, float]] = []
        steadiest = np.inf
        for constant in self.constants:
            found = self.family(constant)(rounds)
            interval = normal_interval(found, self.confidence)
            # The rule needs reaches that never grow; what the sample says of them may.
            steadiest = min(steadiest, (interval.upper - interval.lower) / 2)
            if any(abs(found.value - other.value) > steadiest + (np.sqrt(6) - 1) * reach for _, other, reach in tried):
                break
            tried.append((constant, found, steadiest))
        constant, chosen, _ = tried[-1]
        return constant, chosen
