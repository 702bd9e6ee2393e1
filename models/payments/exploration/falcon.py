"""FALCON's schedule: inverse-gap weighting that explores less as the oracle has seen more rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.payments.exploration.best import refuse_floor
from models.payments.exploration.inverse_gap import InverseGap


@dataclass(frozen=True)
class Falcon:
    """γ_m = scale · √(K n / (complexity · log n)), n the rounds that taught the oracle of epoch m.

    Simchi-Levi and Xu, arXiv 2003.12699, algorithm 1: the natural fit for batch retraining, where an epoch is a
    generation. complexity: log|F|, for a regression the number of its effective parameters.
    """

    kind: Literal["falcon"] = "falcon"
    scale: float = 150.0
    complexity: float = 200.0
    floor: float = 0.01

    def __post_init__(self) -> None:
        refuse_floor(self.floor)
        if not self.scale > 0 or not self.complexity > 0:
            raise ValueError("scale and complexity must be above 0.")

    def at(self, rounds: int, actions: int) -> InverseGap:
        """The rule of a generation whose oracle was taught by so many rounds."""
        rate = actions * max(rounds, 2) / (self.complexity * np.log(max(rounds, 3)))
        return InverseGap(gamma=float(self.scale * np.sqrt(rate)), floor=self.floor)
