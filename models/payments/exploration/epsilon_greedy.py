"""ε-greedy: mostly the best action, now and then any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from models.payments.exploration.best import add_count, add_taken
from models.payments.exploration.rule import Beliefs, BeliefTensors, Needs
from models.payments.graph import Graph
from quaestor.ope.greedy import best_eligible


@dataclass(frozen=True)
class EpsilonGreedy:
    """p = ε/K + (1 − ε)·1[a is best], with K eligible actions; ε = 1 is uniform, ε = 0 greedy."""

    kind: Literal["epsilon_greedy"] = "epsilon_greedy"
    epsilon: float = 0.1
    needs: ClassVar[Needs] = "scores"

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 1:
            raise ValueError(f"epsilon must be between 0 and 1, found {self.epsilon}.")

    def probabilities(self, beliefs: Beliefs, eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Probabilities (round, action)."""
        best = best_eligible(beliefs.scores, eligible)
        uniform = eligible / eligible.sum(axis=1, keepdims=True)
        return np.asarray(self.epsilon * uniform + (1 - self.epsilon) * best)

    def add_to(self, graph: Graph, beliefs: BeliefTensors, eligible: str) -> str:
        """Adds the rule to a graph."""
        best = add_taken(graph, beliefs.scores, eligible)
        count, mask = add_count(graph, eligible)
        uniform = graph.op("Div", mask, count)
        return graph.op(
            "Add",
            graph.op("Mul", uniform, graph.constant(np.array(self.epsilon))),
            graph.op("Mul", best, graph.constant(np.array(1 - self.epsilon))),
        )
