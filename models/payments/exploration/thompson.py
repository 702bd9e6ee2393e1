"""Thompson sampling: an action is taken as often as it is believed to be best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from models.payments.exploration.best import add_count, add_floored, add_taken, floored, refuse_floor
from models.payments.exploration.rule import Beliefs, BeliefTensors, Needs
from models.payments.graph import Graph
from quaestor.ope.greedy import best_eligible
from quaestor.randomness import generator


@dataclass(frozen=True)
class Thompson:
    """p = share of `draws` in which f + scale · s · z is greatest, z standard normal (linear Thompson sampling,
    Agrawal and Goyal, arXiv 1209.3352; s as for independent actions).

    The draws are the same in every round, so that the propensities are exact and the whole vector is known (rule R1).
    """

    kind: Literal["thompson"] = "thompson"
    scale: float = 1.0
    draws: int = 64
    floor: float = 0.01
    needs: ClassVar[Needs] = "spread"

    def __post_init__(self) -> None:
        refuse_floor(self.floor)
        if not self.scale >= 0 or self.draws < 2:
            raise ValueError("scale must be 0 or more and draws 2 or more.")

    def probabilities(self, beliefs: Beliefs, eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Probabilities (round, action)."""
        assert beliefs.spread is not None
        total = np.zeros_like(beliefs.scores)
        for drawn in self._drawn(beliefs.scores.shape[1]):
            total += best_eligible(beliefs.scores + drawn * beliefs.spread, eligible)
        return floored(total / self.draws, eligible, self.floor)

    def add_to(self, graph: Graph, beliefs: BeliefTensors, eligible: str) -> str:
        """Adds the rule to a graph."""
        assert beliefs.spread is not None
        total = ""
        for drawn in self._drawn(graph.actions):
            margin = graph.op("Mul", beliefs.spread, graph.constant(drawn))
            best = add_taken(graph, graph.op("Add", beliefs.scores, margin), eligible)
            total = graph.op("Add", total, best) if total else best
        mean = graph.op("Div", total, graph.constant(np.array(float(self.draws))))
        return add_floored(graph, mean, *add_count(graph, eligible), self.floor)

    def _drawn(self, actions: int) -> NDArray[np.float64]:
        """(draw, action): each draw comes with its mirror image, so that no action is favoured."""
        half = generator(0, "thompson").standard_normal((-(-self.draws // 2), actions))
        return self.scale * np.concatenate((half, -half))[: self.draws]
