"""The best eligible action, on arrays and in graphs; the first of equals, so that both agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from models.payments.graph import Graph
from quaestor.ope.greedy import NEVER


def add_best(graph: Graph, scores: str, eligible: str) -> tuple[str, str]:
    """Adds to a graph which eligible action is the best, (round, action) of booleans, and its score, (round, 1)."""
    masked = graph.op("Where", eligible, scores, graph.constant(np.array(NEVER)))
    top = graph.op("ReduceMax", masked, graph.constant(np.array([1])), keepdims=1)
    first = graph.op("ArgMax", masked, axis=1, keepdims=1)
    at_first = graph.op("Equal", graph.constant(np.arange(graph.actions)), first)
    # A score that is no number equals nothing: where it would win, no action is the best, and the policy falls back.
    return graph.op("And", at_first, graph.op("Equal", masked, top)), top


def add_taken(graph: Graph, scores: str, eligible: str) -> str:
    """Adds to a graph 1 at the best eligible action and 0 elsewhere, (round, action), as doubles."""
    return graph.cast(add_best(graph, scores, eligible)[0], TensorProto.DOUBLE)


def add_count(graph: Graph, eligible: str) -> tuple[str, str]:
    """Adds to a graph, as doubles: the number of eligible actions (round, 1) and eligibility (round, action)."""
    mask = graph.cast(eligible, TensorProto.DOUBLE)
    return graph.op("ReduceSum", mask, graph.constant(np.array([1])), keepdims=1), mask


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


def add_rest_to_best(graph: Graph, shares: str, is_best: str, count: str, eligible: str, floor: float) -> str:
    """Adds the same to a graph; is_best (round, action) is of booleans, count (round, 1) of doubles."""
    one, zero = graph.constant(np.array(1.0)), graph.constant(np.array(0.0))
    if floor:
        shares = graph.op("Max", shares, graph.op("Div", graph.constant(np.array(floor)), count))
    others = graph.op("Where", is_best, zero, graph.op("Where", eligible, shares, zero))
    rest = graph.op("Sub", one, graph.op("ReduceSum", others, graph.constant(np.array([1])), keepdims=1))
    return graph.op("Where", is_best, rest, others)


def refuse_floor(floor: float) -> None:
    """Raises ValueError for a floor that is not a share."""
    if not 0 <= floor < 1:
        raise ValueError(f"floor must be in [0, 1), found {floor}.")
