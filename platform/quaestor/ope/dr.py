"""The doubly robust estimator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import MaturedBatch
from quaestor.ope.contributions import Contributions, from_terms
from quaestor.ope.weights import importance_weights


def dr(batch: MaturedBatch, target: NDArray[np.float64], predicted: NDArray[np.float64] | None = None) -> Contributions:
    """V = mean of Σ_a π(a|x) q(x,a) + w·(r − q(x,a taken)) (Dudík, Langford and Li 2011, equation 2).

    target and predicted (round, action): the policy's probabilities and the predicted rewards q, from an oracle
    that was fitted on other rounds. Raises ValueError without predicted.
    """
    if predicted is None:
        raise ValueError("dr needs predicted rewards, one for each round and action.")
    weight = importance_weights(batch.logged, target)
    taken = predicted[np.arange(len(batch)), batch.logged.action]
    # An action that is not eligible has probability 0; its prediction may be anything, even NaN.
    expected = np.where(target > 0, target * predicted, 0.0).sum(axis=1)
    return from_terms(expected + weight * (batch.reward - taken))
