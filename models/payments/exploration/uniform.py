"""Uniform: any eligible action, all alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from models.payments.exploration.rule import Beliefs, BeliefTensors, Needs
from models.payments.graph import Graph


@dataclass(frozen=True)
class Uniform:
    """p = 1/K: the log that teaches most, at the greatest cost."""

    kind: Literal["uniform"] = "uniform"
    needs: ClassVar[Needs] = "scores"

    def probabilities(self, beliefs: Beliefs, eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Probabilities (round, action)."""
        return np.asarray(eligible / eligible.sum(axis=1, keepdims=True))

    def add_to(self, graph: Graph, beliefs: BeliefTensors, eligible: str) -> str:
        """Adds the rule to a graph."""
        mask = graph.cast(eligible, TensorProto.DOUBLE)
        return graph.op("Div", mask, graph.op("ReduceSum", mask, graph.constant(np.array([1])), keepdims=1))
