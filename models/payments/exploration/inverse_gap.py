"""Inverse-gap weighting: the further an action seems from the best, the less it is tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from models.payments.exploration.best import add_best, add_count, add_rest_to_best, refuse_floor, rest_to_best
from models.payments.exploration.rule import Beliefs, BeliefTensors, Needs
from models.payments.graph import Graph
from quaestor.ope.greedy import best_eligible


@dataclass(frozen=True)
class InverseGap:
    """p_a = 1 / (K + γ(f_best − f_a)) for every eligible action but the best, which takes the rest.

    SquareCB (Foster and Rakhlin, arXiv 2002.04926, equation 2). No eligible action falls below `floor`/K: what would
    is raised to it, and the best gives that up.
    """

    kind: Literal["inverse_gap"] = "inverse_gap"
    gamma: float = 1000.0
    floor: float = 0.01
    needs: ClassVar[Needs] = "scores"

    def __post_init__(self) -> None:
        refuse_floor(self.floor)
        if not self.gamma >= 0:
            raise ValueError(f"gamma must be 0 or more, found {self.gamma}.")

    def probabilities(self, beliefs: Beliefs, eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Probabilities (round, action)."""
        scores = beliefs.scores
        best = best_eligible(scores, eligible)
        count = eligible.sum(axis=1, keepdims=True)
        top = np.where(best > 0, scores, 0.0).sum(axis=1, keepdims=True)
        gap = np.where(eligible, top - scores, 0.0)
        return rest_to_best(1.0 / (count + self.gamma * gap), best, eligible, self.floor)

    def add_to(self, graph: Graph, beliefs: BeliefTensors, eligible: str) -> str:
        """Adds the rule to a graph."""
        scores = beliefs.scores
        is_best, top = add_best(graph, scores, eligible)
        count, _ = add_count(graph, eligible)
        gap = graph.op("Mul", graph.op("Sub", top, scores), graph.constant(np.array(self.gamma)))
        shares = graph.op("Reciprocal", graph.op("Add", count, gap))
        return add_rest_to_best(graph, shares, is_best, count, eligible, self.floor)
