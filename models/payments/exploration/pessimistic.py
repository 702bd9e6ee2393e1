"""Pessimism: the action that is surely good, for learning from a log without new exploration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from models.payments.exploration.best import add_count, add_floored, add_taken, floored, refuse_floor
from models.payments.exploration.rule import Beliefs, BeliefTensors, Needs
from models.payments.graph import Graph
from quaestor.ope.greedy import best_eligible


@dataclass(frozen=True)
class Pessimistic:
    """Takes the action for which f − β·s is greatest
    (Jin, Yang and Wang, arXiv 2012.15085; Rashidinejad and others, arXiv 2103.12021).

    s is the standard error of f.
    """

    kind: Literal["pessimistic"] = "pessimistic"
    beta: float = 1.0
    floor: float = 0.0
    needs: ClassVar[Needs] = "spread"

    def __post_init__(self) -> None:
        refuse_floor(self.floor)
        if not self.beta >= 0:
            raise ValueError(f"beta must be 0 or more, found {self.beta}.")

    def probabilities(self, beliefs: Beliefs, eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Probabilities (round, action)."""
        assert beliefs.spread is not None
        return floored(best_eligible(beliefs.scores - self.beta * beliefs.spread, eligible), eligible, self.floor)

    def add_to(self, graph: Graph, beliefs: BeliefTensors, eligible: str) -> str:
        """Adds the rule to a graph."""
        assert beliefs.spread is not None
        margin = graph.op("Mul", beliefs.spread, graph.constant(np.array(self.beta)))
        best = add_taken(graph, graph.op("Sub", beliefs.scores, margin), eligible)
        return add_floored(graph, best, *add_count(graph, eligible), self.floor)
