"""A rule of the team's own as an oracle: actions in a fixed order of preference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from models.payments.graph import Graph
from quaestor.errors import UsageError
from quaestor.export.encoding import Encoded
from quaestor.study import did_you_mean


@dataclass(frozen=True)
class FixedOracle:
    """The same score for an action in every context, (action,)."""

    scores: NDArray[np.float64]

    def predict(self, contexts: Encoded) -> NDArray[np.float64]:
        """The scores, repeated: (round, action)."""
        return np.repeat(self.scores[None], len(contexts), axis=0)

    def add_to(self, graph: Graph, numeric: str, category: str) -> str:
        """Adds the scores to a graph, one row a round."""
        rounds = graph.op("Shape", numeric, start=0, end=1)
        shape = graph.op("Concat", rounds, graph.constant(np.array([len(self.scores)])), axis=0)
        return graph.cast(graph.op("Expand", graph.constant(self.scores[None]), shape), TensorProto.DOUBLE)


def preference(order: tuple[str, ...], actions: tuple[str, ...]) -> FixedOracle:
    """The oracle that prefers `order` from first to last and the remaining actions least.

    Raises UsageError for a name that is not an action.
    """
    for name in order:
        if name not in actions:
            raise UsageError(f"No action {name!r} to prefer.{did_you_mean(name, actions)}")
    rank = {name: place for place, name in enumerate(order)}
    return FixedOracle(np.array([1.0 / (2 + rank.get(name, len(order))) for name in actions]))
