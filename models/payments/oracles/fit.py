"""Fits an oracle from its parameters: the one place that lists the family's members."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.payments.oracles.boosted import BoostedParams, fit_boosted
from models.payments.oracles.logistic import LogisticParams, fit_logistic
from models.payments.oracles.oracle import Oracle
from quaestor.export.encoding import Encoded, Features

OracleParams = LogisticParams | BoostedParams


def fit_oracle(
    params: OracleParams,
    features: Features,
    contexts: Encoded,
    action: NDArray[np.int64],
    reward: NDArray[np.float64],
    actions: int,
    seed: int,
) -> Oracle:
    """An oracle fitted on action (round,) and reward (round,) in [0, 1]."""
    match params:
        case LogisticParams():
            return fit_logistic(params, features, contexts, action, reward, actions, seed)
        case BoostedParams():
            return fit_boosted(params, features, contexts, action, reward, actions, seed)
