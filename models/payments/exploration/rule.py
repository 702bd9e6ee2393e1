"""What an exploration rule is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.payments.graph import Graph


class Exploration(Protocol):
    """Turns predicted rewards into probabilities over the eligible actions."""

    def probabilities(self, scores: NDArray[np.float64], eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(round, action): sum to 1, 0 where not eligible; scores (round, action) are predicted rewards."""

    def add_to(self, graph: Graph, scores: str, eligible: str) -> str:
        """Adds the same rule to a graph; returns the name of its probabilities (round, action), as doubles."""
