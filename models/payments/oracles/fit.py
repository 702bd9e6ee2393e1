"""Fits an oracle from its parameters: the one place that lists the family's members."""

from __future__ import annotations

from models.payments.oracles.additive import AdditiveOracle, AdditiveParams
from models.payments.oracles.additive_fit import fit_additive
from models.payments.oracles.boosted import BoostedParams, fit_boosted
from models.payments.oracles.embedding import EmbeddingParams
from models.payments.oracles.ensemble import EnsembleOracle, EnsembleParams, fit_ensemble
from models.payments.oracles.logistic import LogisticParams, fit_logistic
from models.payments.oracles.oracle import Oracle, TrainingSet
from models.payments.oracles.ridge import RidgeParams, fit_ridge

OracleParams = AdditiveParams | LogisticParams | BoostedParams | EmbeddingParams | RidgeParams | EnsembleParams

PARAMS = {
    "additive": AdditiveParams,
    "logistic": LogisticParams,
    "boosted": BoostedParams,
    "embedding": EmbeddingParams,
    "ridge": RidgeParams,
    "ensemble": EnsembleParams,
}


def fit_oracle(params: OracleParams, training: TrainingSet, seed: int, parent: Oracle | None = None) -> Oracle:
    """An oracle fitted on a training set; it starts from its parent where its kind knows how to."""
    match params:
        case AdditiveParams():
            return fit_additive(params, training, parent if isinstance(parent, AdditiveOracle) else None)
        case LogisticParams():
            return fit_logistic(params, training, seed)
        case BoostedParams():
            return fit_boosted(params, training, seed)
        case EmbeddingParams():
            from models.payments.oracles.embedding_fit import fit_embedding  # torch takes two seconds to import

            return fit_embedding(params, training, seed)
        case RidgeParams():
            return fit_ridge(params, training)
        case EnsembleParams():
            return fit_ensemble(params, training, seed, parent if isinstance(parent, EnsembleOracle) else None)
