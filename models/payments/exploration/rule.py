"""What an exploration rule is, and what it may know of the oracle's predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from models.payments.graph import Graph
from models.payments.oracles.oracle import Oracle, UncertainOracle, VotingOracle
from quaestor.errors import UsageError
from quaestor.export.encoding import Encoded

Needs = Literal["scores", "spread", "votes"]


@dataclass(frozen=True)
class Beliefs:
    """What an oracle predicts: scores (round, action); spread (round, action), their standard errors; votes (member,
    round, action). A rule is given what it needs. costs (round, action): what another oracle predicts that actions
    cost, where one does."""

    scores: NDArray[np.float64]
    spread: NDArray[np.float64] | None = None
    votes: NDArray[np.float64] | None = None
    costs: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class BeliefTensors:
    """The same as names of tensors in a graph."""

    scores: str
    spread: str | None = None
    votes: list[str] | None = None
    costs: str | None = None


class Exploration(Protocol):
    """Turns predicted rewards into probabilities over the eligible actions."""

    @property
    def needs(self) -> Needs:
        """What it must know beside the scores."""

    def probabilities(self, beliefs: Beliefs, eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(round, action): sum to 1, 0 where not eligible."""

    def add_to(self, graph: Graph, beliefs: BeliefTensors, eligible: str) -> str:
        """Adds the same rule to a graph; returns the name of its probabilities (round, action), as doubles."""


def believe(oracle: Oracle, contexts: Encoded, needs: Needs) -> Beliefs:
    """What a rule needs to know of an oracle's predictions; raises UsageError when the oracle cannot tell it."""
    scores = oracle.predict(contexts)
    if needs == "spread":
        return Beliefs(scores, spread=_uncertain(oracle).spread(contexts))
    if needs == "votes":
        return Beliefs(scores, votes=_voting(oracle).votes(contexts))
    return Beliefs(scores)


def add_beliefs(oracle: Oracle, graph: Graph, numeric: str, category: str, needs: Needs) -> BeliefTensors:
    """Adds to a graph what a rule needs to know; raises UsageError when the oracle cannot tell it."""
    scores = oracle.add_to(graph, numeric, category)
    if needs == "spread":
        return BeliefTensors(scores, spread=_uncertain(oracle).add_spread_to(graph, numeric, category))
    if needs == "votes":
        return BeliefTensors(scores, votes=_voting(oracle).add_votes_to(graph, numeric, category))
    return BeliefTensors(scores)


def _uncertain(oracle: Oracle) -> UncertainOracle:
    if not isinstance(oracle, UncertainOracle):
        raise UsageError("This exploration needs an oracle that knows its uncertainty: additive, ridge or ensemble.")
    return oracle


def _voting(oracle: Oracle) -> VotingOracle:
    if not isinstance(oracle, VotingOracle):
        raise UsageError("This exploration needs an oracle whose members vote: ensemble.")
    return oracle
