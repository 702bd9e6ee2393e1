"""Inverse-gap weighting for small losses (FastCB): where failures are rare, exploration costs little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from models.payments.exploration.best import add_best, add_count, add_rest_to_best, refuse_floor, rest_to_best
from models.payments.exploration.rule import Beliefs, BeliefTensors, Needs
from models.payments.graph import Graph
from quaestor.ope.greedy import best_eligible

_LEAST = 1e-9


@dataclass(frozen=True)
class FastInverseGap:
    """p_a = ℓ_b / (K ℓ_b + γ(ℓ_a − ℓ_b)) for every eligible action but the best b, which takes the rest; ℓ = 1 − f.

    Foster and Krishnamurthy, arXiv 2107.02237, algorithm 1; for oracles fitted by log loss.
    """

    kind: Literal["fast_inverse_gap"] = "fast_inverse_gap"
    gamma: float = 100.0
    floor: float = 0.01
    needs: ClassVar[Needs] = "scores"

    def __post_init__(self) -> None:
        refuse_floor(self.floor)
        if not self.gamma >= 1:
            raise ValueError(f"gamma must be 1 or more, found {self.gamma}.")

    def probabilities(self, beliefs: Beliefs, eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Probabilities (round, action)."""
        best = best_eligible(beliefs.scores, eligible)
        count = eligible.sum(axis=1, keepdims=True)
        loss = np.maximum(1 - beliefs.scores, _LEAST)
        least = (best * loss).sum(axis=1, keepdims=True)
        gap = np.where(eligible, loss - least, 0.0)
        return rest_to_best(least / (count * least + self.gamma * gap), best, eligible, self.floor)

    def add_to(self, graph: Graph, beliefs: BeliefTensors, eligible: str) -> str:
        """Adds the rule to a graph."""
        is_best, _ = add_best(graph, beliefs.scores, eligible)
        count, _ = add_count(graph, eligible)
        one, axis = graph.constant(np.array(1.0)), graph.constant(np.array([1]))
        loss = graph.op("Max", graph.op("Sub", one, beliefs.scores), graph.constant(np.array(_LEAST)))
        least = graph.op("ReduceSum", graph.op("Where", is_best, loss, graph.constant(np.array(0.0))), axis, keepdims=1)
        scaled = graph.op("Mul", graph.op("Sub", loss, least), graph.constant(np.array(self.gamma)))
        shares = graph.op("Div", least, graph.op("Add", graph.op("Mul", count, least), scaled))
        return add_rest_to_best(graph, shares, is_best, count, eligible, self.floor)
