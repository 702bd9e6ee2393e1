"""Inverse propensity scoring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import MaturedBatch
from quaestor.ope.contributions import Contributions, from_terms
from quaestor.ope.weights import importance_weights


def ips(
    batch: MaturedBatch, target: NDArray[np.float64], predicted: NDArray[np.float64] | None = None
) -> Contributions:
    """V = mean of w·r, unbiased where logged propensities are right (Horvitz and Thompson 1952).

    target (round, action): the policy's probabilities. predicted is not used.
    """
    return from_terms(importance_weights(batch.logged, target) * batch.reward)
