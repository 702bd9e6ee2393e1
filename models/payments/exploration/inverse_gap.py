"""Inverse-gap weighting: the further an action seems from the best, the less it is tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from models.payments.exploration.best import add_best, best_eligible
from models.payments.graph import Graph


@dataclass(frozen=True)
class InverseGap:
    """p_a = 1 / (K + γ(f_best − f_a)) for every eligible action but the best, which takes the rest.

    SquareCB (Foster and Rakhlin, arXiv 2002.04926, equation 2). No eligible action falls below `floor`/K.
    """

    kind: Literal["inverse_gap"] = "inverse_gap"
    gamma: float = 1000.0
    floor: float = 0.01

    def __post_init__(self) -> None:
        if not self.gamma >= 0 or not 0 <= self.floor < 1:
            raise ValueError("gamma must be 0 or more and floor in [0, 1).")

    def probabilities(self, scores: NDArray[np.float64], eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Probabilities (round, action)."""
        best = best_eligible(scores, eligible)
        count = eligible.sum(axis=1, keepdims=True)
        top = np.where(best > 0, scores, 0.0).sum(axis=1, keepdims=True)
        gap = np.where(eligible, top - scores, 0.0)
        others = np.where(eligible & (best == 0), 1.0 / (count + self.gamma * gap), 0.0)
        weighted = others + best * (1.0 - others.sum(axis=1, keepdims=True))
        return np.asarray((1 - self.floor) * weighted + self.floor * eligible / count)

    def add_to(self, graph: Graph, scores: str, eligible: str) -> str:
        """Adds the rule to a graph."""
        best, count, mask = add_best(graph, scores, eligible)
        one, zero = graph.constant(np.array(1.0)), graph.constant(np.array(0.0))
        axis = graph.constant(np.array([1]))
        is_best = graph.cast(best, TensorProto.BOOL)
        top = graph.op("ReduceSum", graph.op("Where", is_best, scores, zero), axis, keepdims=1)
        gap = graph.op("Where", eligible, graph.op("Sub", top, scores), zero)
        inverse = graph.op(
            "Div", one, graph.op("Add", count, graph.op("Mul", gap, graph.constant(np.array(self.gamma))))
        )
        is_other = graph.op("And", eligible, graph.op("Not", is_best))
        others = graph.op("Where", is_other, inverse, zero)
        rest = graph.op("Sub", one, graph.op("ReduceSum", others, axis, keepdims=1))
        weighted = graph.op("Add", others, graph.op("Mul", best, rest))
        return graph.op(
            "Add",
            graph.op("Mul", weighted, graph.constant(np.array(1 - self.floor))),
            graph.op("Mul", graph.op("Div", mask, count), graph.constant(np.array(self.floor))),
        )
