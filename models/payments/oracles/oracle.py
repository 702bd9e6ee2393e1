"""What a regression oracle is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.payments.graph import Graph
from quaestor.export.encoding import Encoded


class Oracle(Protocol):
    """Predicts the mean reward of each action in a context."""

    def predict(self, contexts: Encoded) -> NDArray[np.float64]:
        """Predicted rewards in [0, 1], (round, action)."""

    def add_to(self, graph: Graph, numeric: str, category: str) -> str:
        """Adds the same prediction to a graph; returns the name of its scores (round, action), as doubles."""
