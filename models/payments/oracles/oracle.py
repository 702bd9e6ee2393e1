"""What a regression oracle is, and what it learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.payments.graph import Graph
from quaestor.export.encoding import Encoded, Features


@dataclass(frozen=True)
class TrainingSet:
    """Rounds as an oracle learns from them.

    action (round,) numbers the action taken; reward (round,) in [0, 1]. weight (round,): how much a round counts,
    None for all alike (rule R9). described (action, part): features of the actions, so that an action without
    rounds is predicted from those that share its parts; it has a row for every action that is to be predicted.
    recent (round,): decided after a change of nobody knows what, None where nothing changed; an oracle that can tells
    apart what changed from what lasts, others take all rounds alike.
    """

    features: Features
    contexts: Encoded
    action: NDArray[np.int64]
    reward: NDArray[np.float64]
    described: NDArray[np.float64]
    weight: NDArray[np.float64] | None = None
    recent: NDArray[np.bool_] | None = None

    @property
    def actions(self) -> int:
        """How many actions there are."""
        return len(self.described)

    def __len__(self) -> int:
        return len(self.action)


def undescribed(actions: int) -> NDArray[np.float64]:
    """Actions of which nothing is known but their number, (action, 0)."""
    return np.zeros((actions, 0))


class Oracle(Protocol):
    """Predicts the mean reward of each action in a context."""

    def predict(self, contexts: Encoded) -> NDArray[np.float64]:
        """Predicted rewards in [0, 1], (round, action)."""

    def add_to(self, graph: Graph, numeric: str, category: str) -> str:
        """Adds the same prediction to a graph; returns the name of its scores (round, action), as doubles."""


@runtime_checkable
class UncertainOracle(Protocol):
    """Knows how far off its predictions may be."""

    def spread(self, contexts: Encoded) -> NDArray[np.float64]:
        """Standard errors of the predicted rewards, (round, action)."""

    def add_spread_to(self, graph: Graph, numeric: str, category: str) -> str:
        """Adds the same standard errors to a graph, (round, action), as doubles."""


@runtime_checkable
class VotingOracle(Protocol):
    """Is made of members that each predict by themselves."""

    def votes(self, contexts: Encoded) -> NDArray[np.float64]:
        """Each member's predicted rewards, (member, round, action)."""

    def add_votes_to(self, graph: Graph, numeric: str, category: str) -> list[str]:
        """Adds each member's predictions to a graph, (round, action) a member, as doubles."""
