"""The best eligible action, on arrays and in graphs; the first of equals, so that both agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from models.payments.graph import Graph

_NEVER = -1e300


def best_eligible(scores: NDArray[np.float64], eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
    """1 at the best eligible action of each round, 0 elsewhere, (round, action)."""
    best = np.where(eligible, scores, _NEVER).argmax(axis=1)
    return np.eye(scores.shape[1])[best]


def add_best(graph: Graph, scores: str, eligible: str) -> tuple[str, str, str]:
    """Adds to a graph, as doubles: the best eligible action (round, action), the number of eligible actions
    (round, 1) and eligibility (round, action)."""
    mask = graph.cast(eligible, TensorProto.DOUBLE)
    axis = graph.constant(np.array([1]))
    count = graph.op("ReduceSum", mask, axis, keepdims=1)
    masked = graph.op("Where", eligible, scores, graph.constant(np.array(_NEVER)))
    top = graph.op("ReduceMax", masked, axis, keepdims=1)
    equal = graph.cast(graph.op("Equal", masked, top), TensorProto.DOUBLE)
    # Of equal scores the first counts: one whose running count of equals is 1.
    running = graph.op("CumSum", equal, graph.constant(np.array(1)))
    first = graph.cast(graph.op("Equal", running, graph.constant(np.array(1.0))), TensorProto.DOUBLE)
    return graph.op("Mul", equal, first), count, mask
