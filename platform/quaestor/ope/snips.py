"""Self-normalised inverse propensity scoring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import MaturedBatch
from quaestor.ope.contributions import Contributions
from quaestor.ope.weights import importance_weights


def snips(
    batch: MaturedBatch, target: NDArray[np.float64], predicted: NDArray[np.float64] | None = None
) -> Contributions:
    """V = Σwr / Σw, with influence w(r − V) / mean w (Swaminathan and Joachims 2015, equation 8).

    target (round, action): the policy's probabilities. predicted is not used. Raises ValueError when no
    round has weight.
    """
    weight = importance_weights(batch.logged, target)
    if not weight.any():
        raise ValueError("the log has no round with an action that the target policy would take.")
    value = float(weight @ batch.reward / weight.sum())
    return Contributions(value, weight * (batch.reward - value) / weight.mean())
