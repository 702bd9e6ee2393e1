"""The greedy policy of scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEVER = -1e300
"""The score of an action that is not eligible."""


def best_eligible(scores: NDArray[np.float64], eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
    """1 at the best eligible action of each round, 0 elsewhere, (round, action); of equal scores the first counts."""
    best = np.where(eligible, scores, NEVER).argmax(axis=1)
    return np.asarray(np.eye(scores.shape[1])[best])
