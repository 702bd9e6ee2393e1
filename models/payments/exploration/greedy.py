"""Greedy: the best predicted action, always."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from models.payments.exploration.best import add_taken
from models.payments.exploration.rule import Beliefs, BeliefTensors, Needs
from models.payments.graph import Graph
from quaestor.ope.greedy import best_eligible


@dataclass(frozen=True)
class Greedy:
    """p = 1[a is best]: for learning once and for all; a log that it makes teaches nothing about other actions."""

    kind: Literal["greedy"] = "greedy"
    needs: ClassVar[Needs] = "scores"

    def probabilities(self, beliefs: Beliefs, eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Probabilities (round, action)."""
        return best_eligible(beliefs.scores, eligible)

    def add_to(self, graph: Graph, beliefs: BeliefTensors, eligible: str) -> str:
        """Adds the rule to a graph."""
        return add_taken(graph, beliefs.scores, eligible)
