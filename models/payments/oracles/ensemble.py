"""A bootstrap ensemble: additive oracles, each fitted on its own resampling of the rounds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.payments.graph import Graph
from models.payments.oracles.additive import AdditiveOracle, AdditiveParams
from models.payments.oracles.additive_fit import fit_additive
from models.payments.oracles.oracle import TrainingSet
from quaestor.export.encoding import Encoded
from quaestor.randomness import generator


@dataclass(frozen=True)
class EnsembleParams:
    """members: how many; member: what each of them is."""

    kind: Literal["ensemble"] = "ensemble"
    members: int = 8
    member: AdditiveParams = field(default_factory=lambda: AdditiveParams(terms=0))

    def __post_init__(self) -> None:
        if self.members < 2:
            raise ValueError("an ensemble needs 2 members or more.")


@dataclass(frozen=True)
class EnsembleOracle:
    """Members that vote; the prediction is their mean."""

    members: tuple[AdditiveOracle, ...]

    def predict(self, contexts: Encoded) -> NDArray[np.float64]:
        """Predicted rewards, (round, action)."""
        return np.asarray(self.votes(contexts).mean(axis=0))

    def spread(self, contexts: Encoded) -> NDArray[np.float64]:
        """The standard deviation between members, (round, action)."""
        return np.asarray(self.votes(contexts).std(axis=0))

    def votes(self, contexts: Encoded) -> NDArray[np.float64]:
        """Each member's prediction, (member, round, action)."""
        return np.stack([member.predict(contexts) for member in self.members])

    def add_to(self, graph: Graph, numeric: str, category: str) -> str:
        """Adds the prediction to a graph."""
        return _mean(graph, self.add_votes_to(graph, numeric, category))

    def add_spread_to(self, graph: Graph, numeric: str, category: str) -> str:
        """Adds the standard deviation between members to a graph."""
        votes = self.add_votes_to(graph, numeric, category)
        mean = _mean(graph, votes)
        squares = []
        for vote in votes:
            gap = graph.op("Sub", vote, mean)
            squares.append(graph.op("Mul", gap, gap))
        return graph.op("Sqrt", _mean(graph, squares))

    def add_votes_to(self, graph: Graph, numeric: str, category: str) -> list[str]:
        """Adds each member's prediction to a graph."""
        return [member.add_to(graph, numeric, category) for member in self.members]


def fit_ensemble(
    params: EnsembleParams, training: TrainingSet, seed: int, parent: EnsembleOracle | None
) -> EnsembleOracle:
    """Fits each member with Poisson(1) weights on the rounds (Oza and Russell 2001: the bootstrap, round by round)."""
    members = []
    for number in range(params.members):
        drawn = generator(seed, "bootstrap", number).poisson(1.0, len(training)).astype(np.float64)
        weight = drawn if training.weight is None else drawn * training.weight
        start = parent.members[number] if parent is not None and number < len(parent.members) else None
        members.append(fit_additive(params.member, dataclasses.replace(training, weight=weight), start))
    return EnsembleOracle(tuple(members))


def _mean(graph: Graph, tensors: list[str]) -> str:
    total = tensors[0]
    for tensor in tensors[1:]:
        total = graph.op("Add", total, tensor)
    return graph.op("Div", total, graph.constant(np.array(float(len(tensors)))))
