"""Bagging: every member of an ensemble has a vote."""

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
class Bagging:
    """p = share of members that predict the action to be best (Agarwal and others, arXiv 1402.0555, section 7;
    Osband and Van Roy, arXiv 1507.00300)."""

    kind: Literal["bagging"] = "bagging"
    floor: float = 0.01
    needs: ClassVar[Needs] = "votes"

    def __post_init__(self) -> None:
        refuse_floor(self.floor)

    def probabilities(self, beliefs: Beliefs, eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Probabilities (round, action)."""
        assert beliefs.votes is not None
        shares = np.mean([best_eligible(vote, eligible) for vote in beliefs.votes], axis=0)
        return floored(shares, eligible, self.floor)

    def add_to(self, graph: Graph, beliefs: BeliefTensors, eligible: str) -> str:
        """Adds the rule to a graph."""
        assert beliefs.votes is not None
        total = ""
        for vote in beliefs.votes:
            best = add_taken(graph, vote, eligible)
            total = graph.op("Add", total, best) if total else best
        members = graph.constant(np.array(float(len(beliefs.votes))))
        return add_floored(graph, graph.op("Div", total, members), *add_count(graph, eligible), self.floor)
