"""The best eligible action, on arrays and in graphs; the first of equals, so that both agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from models.payments.graph import Graph
from quaestor.ope.greedy import NEVER


def add_best(graph: Graph, scores: str, eligible: str) -> tuple[str, str, str]:
    """Adds to a graph, as doubles: the best eligible action (round, action), the number of eligible actions
    (round, 1) and eligibility (round, action)."""
    mask = graph.cast(eligible, TensorProto.DOUBLE)
    axis = graph.constant(np.array([1]))
    count = graph.op("ReduceSum", mask, axis, keepdims=1)
    masked = graph.op("Where", eligible, scores, graph.constant(np.array(NEVER)))
    top = graph.op("ReduceMax", masked, axis, keepdims=1)
    equal = graph.cast(graph.op("Equal", masked, top), TensorProto.DOUBLE)
    # Of equal scores the first counts: one whose running count of equals is 1.
    running = graph.op("CumSum", equal, graph.constant(np.array(1)))
    first = graph.cast(graph.op("Equal", running, graph.constant(np.array(1.0))), TensorProto.DOUBLE)
    return graph.op("Mul", equal, first), count, mask


def floored(probabilities: NDArray[np.float64], eligible: NDArray[np.bool_], floor: float) -> NDArray[np.float64]:
    """Mixes in `floor` of the uniform law, so that no eligible action of K falls below floor/K."""
    return np.asarray((1 - floor) * probabilities + floor * eligible / eligible.sum(axis=1, keepdims=True))


def add_floored(graph: Graph, probabilities: str, count: str, mask: str, floor: float) -> str:
    """Adds the same mixture to a graph; count (round, 1) and mask (round, action) are doubles."""
    return graph.op(
        "Add",
        graph.op("Mul", probabilities, graph.constant(np.array(1 - floor))),
        graph.op("Mul", graph.op("Div", mask, count), graph.constant(np.array(floor))),
    )


def rest_to_best(
    shares: NDArray[np.float64], best: NDArray[np.float64], eligible: NDArray[np.bool_], floor: float
) -> NDArray[np.float64]:
    """Each eligible action but the best takes its share (round, action), of at most 1/K, or floor/K where that is
    more; the best takes the rest, which is 1/K or more. A share above the floor costs nothing to keep there."""
    least = floor / eligible.sum(axis=1, keepdims=True)
    others = np.where(eligible & (best == 0), np.maximum(shares, least), 0.0)
    return np.asarray(others + best * (1.0 - others.sum(axis=1, keepdims=True)))


def add_rest_to_best(graph: Graph, shares: str, best: str, count: str, eligible: str, floor: float) -> str:
    """Adds the same to a graph; best (round, action) and count (round, 1) are doubles."""
    one, zero = graph.constant(np.array(1.0)), graph.constant(np.array(0.0))
    is_other = graph.op("And", eligible, graph.op("Not", graph.cast(best, TensorProto.BOOL)))
    if floor:
        shares = graph.op("Max", shares, graph.op("Div", graph.constant(np.array(floor)), count))
    others = graph.op("Where", is_other, shares, zero)
    rest = graph.op("Sub", one, graph.op("ReduceSum", others, graph.constant(np.array([1])), keepdims=1))
    return graph.op("Add", others, graph.op("Mul", best, rest))


def refuse_floor(floor: float) -> None:
    """Raises ValueError for a floor that is not a share."""
    if not 0 <= floor < 1:
        raise ValueError(f"floor must be in [0, 1), found {floor}.")
