"""Softmax: the likelier, the better an action is predicted to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from models.payments.exploration.best import add_count, add_floored, floored, refuse_floor
from models.payments.exploration.rule import Beliefs, BeliefTensors, Needs
from models.payments.graph import Graph

_NEVER = -1e300


@dataclass(frozen=True)
class Softmax:
    """p ∝ exp(sharpness · f) over the eligible actions; sharpness is the λ of the literature."""

    kind: Literal["softmax"] = "softmax"
    sharpness: float = 50.0
    floor: float = 0.01
    needs: ClassVar[Needs] = "scores"

    def __post_init__(self) -> None:
        refuse_floor(self.floor)
        if not self.sharpness >= 0:
            raise ValueError(f"sharpness must be 0 or more, found {self.sharpness}.")

    def probabilities(self, beliefs: Beliefs, eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Probabilities (round, action)."""
        masked = np.where(eligible, self.sharpness * beliefs.scores, _NEVER)
        raised = np.exp(masked - masked.max(axis=1, keepdims=True))
        return floored(raised / raised.sum(axis=1, keepdims=True), eligible, self.floor)

    def add_to(self, graph: Graph, beliefs: BeliefTensors, eligible: str) -> str:
        """Adds the rule to a graph."""
        count, mask = add_count(graph, eligible)
        sharp = graph.op("Mul", beliefs.scores, graph.constant(np.array(self.sharpness)))
        masked = graph.op("Where", eligible, sharp, graph.constant(np.array(_NEVER)))
        return add_floored(graph, graph.op("Softmax", masked, axis=1), count, mask, self.floor)
