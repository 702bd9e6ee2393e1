"""A rule that weighs what actions cost: it sees predicted rewards less the price of each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.payments.exploration.rule import Beliefs, BeliefTensors, Exploration, Needs
from models.payments.graph import Graph


@dataclass(frozen=True)
class Charged:
    """Another rule, with charge (action,) and price × predicted costs taken off every prediction; the policy's scores
    stay predicted rewards."""

    rule: Exploration
    charge: NDArray[np.float64]
    price: float = 0.0

    @property
    def needs(self) -> Needs:
        """What the other rule must know."""
        return self.rule.needs

    def probabilities(self, beliefs: Beliefs, eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Probabilities (round, action)."""
        charge = self.charge if beliefs.costs is None else self.charge + self.price * beliefs.costs
        votes = None if beliefs.votes is None else beliefs.votes - charge
        net = dataclasses.replace(beliefs, scores=beliefs.scores - charge, votes=votes)
        return self.rule.probabilities(net, eligible)

    def add_to(self, graph: Graph, beliefs: BeliefTensors, eligible: str) -> str:
        """Adds the rule to a graph."""

        charge = graph.constant(self.charge)
        if beliefs.costs is not None:
            priced = graph.op("Mul", beliefs.costs, graph.constant(np.array(self.price)))
            charge = graph.op("Add", priced, charge)

        def net(tensor: str) -> str:
            return graph.op("Sub", tensor, charge)

        votes = None if beliefs.votes is None else [net(vote) for vote in beliefs.votes]
        return self.rule.add_to(graph, dataclasses.replace(beliefs, scores=net(beliefs.scores), votes=votes), eligible)
