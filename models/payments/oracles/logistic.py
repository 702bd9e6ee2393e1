"""Logistic regression with a weight for every feature and for every pair of feature and action."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from scipy import sparse
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from models.payments.graph import Graph
from models.payments.oracles.oracle import TrainingSet
from quaestor.export.encoding import Encoded, Features


@dataclass(frozen=True)
class LogisticParams:
    """strength: inverse of the ridge penalty; iterations: of L-BFGS at most."""

    kind: Literal["logistic"] = "logistic"
    strength: float = 0.3
    iterations: int = 200

    def __post_init__(self) -> None:
        if not self.strength > 0 or self.iterations < 1:
            raise ValueError("strength must be above 0 and iterations 1 or more.")


@dataclass(frozen=True)
class LogisticOracle:
    """Fitted weights: intercept (action,), numeric (action, feature) on standardised numbers, and for each
    category a table (level, action)."""

    features: Features
    intercept: NDArray[np.float64]
    numeric: NDArray[np.float64]
    tables: tuple[NDArray[np.float64], ...]

    def predict(self, contexts: Encoded) -> NDArray[np.float64]:
        """Predicted rewards, (round, action)."""
        logit = self.intercept + _standardised(self.features, contexts.numeric) @ self.numeric.T
        for codes, table in zip(contexts.category.T, self.tables, strict=True):
            logit += table[codes]
        return np.asarray(expit(logit))

    def add_to(self, graph: Graph, numeric: str, category: str) -> str:
        """Adds the prediction to a graph."""
        mean, spread = _moments(self.features)
        weight = self.numeric / spread
        intercept = self.intercept - weight @ mean
        numbers = graph.cast(numeric, TensorProto.DOUBLE)
        logit = graph.op("Gemm", numbers, graph.constant(weight), graph.constant(intercept), transB=1)
        if self.tables:
            logit = graph.op("Add", logit, graph.sum_of_rows(self.tables, category))
        return graph.op("Sigmoid", logit)


def fit_logistic(params: LogisticParams, training: TrainingSet, seed: int) -> LogisticOracle:
    """Fits by L-BFGS; a reward between 0 and 1 enters as both outcomes with the matching weights."""
    design, offsets = _design(training.features, training.contexts, training.action, training.actions)
    rows, target, weight = _as_binary(training.reward)
    if training.weight is not None:
        weight = weight * training.weight[rows]
    model = LogisticRegression(C=params.strength, max_iter=params.iterations, random_state=seed % 2**31)
    with warnings.catch_warnings():
        # Stopping at the iteration limit is early stopping here: the fit is a ridge away from its optimum.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(design[rows], target, sample_weight=weight)
    return _unpacked(model, training.features, offsets, training.actions)


def _as_binary(
    reward: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    success, failure = np.flatnonzero(reward > 0), np.flatnonzero(reward < 1)
    rows = np.concatenate((success, failure))
    target = np.concatenate((np.ones(len(success), dtype=np.int64), np.zeros(len(failure), dtype=np.int64)))
    return rows, target, np.concatenate((reward[success], 1 - reward[failure]))


def _design(
    features: Features, contexts: Encoded, action: NDArray[np.int64], actions: int
) -> tuple[sparse.csr_matrix, NDArray[np.int64]]:
    """Rows of [features, features × action taken]; offsets mark where each category's columns begin."""
    rounds = len(contexts)
    standardised = _standardised(features, contexts.numeric)
    codes = contexts.category
    levels = [len(feature.levels) + 1 for feature in features.category]
    offsets = np.concatenate(([0], np.cumsum(levels))).astype(np.int64) + standardised.shape[1] + 1
    width = int(offsets[-1])
    columns = np.concatenate(
        (
            np.broadcast_to(np.arange(standardised.shape[1] + 1), (rounds, standardised.shape[1] + 1)),
            codes + offsets[:-1],
        ),
        axis=1,
    )
    values = np.concatenate((np.ones((rounds, 1)), standardised, np.ones(codes.shape)), axis=1)
    crossed = columns + width * (1 + action[:, None])
    return (
        sparse.csr_matrix(
            (
                np.concatenate((values, values), axis=1).ravel(),
                np.concatenate((columns, crossed), axis=1).ravel(),
                np.arange(0, 2 * values.size + 1, 2 * values.shape[1]),
            ),
            shape=(rounds, width * (1 + actions)),
        ),
        offsets,
    )


def _unpacked(
    model: LogisticRegression,
    features: Features,
    offsets: NDArray[np.int64],
    actions: int,
) -> LogisticOracle:
    blocks = model.coef_.reshape(1 + actions, -1)
    weight = blocks[1:] + blocks[0]
    tables = [weight[:, start:end].T for start, end in pairwise(offsets)]
    return LogisticOracle(
        features=features,
        intercept=weight[:, 0] + float(model.intercept_[0]),
        numeric=np.ascontiguousarray(weight[:, 1 : offsets[0]]),
        tables=tuple(np.ascontiguousarray(table) for table in tables),
    )


def _moments(features: Features) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean = np.array([feature.missing for feature in features.numeric], dtype=np.float64)
    return mean, np.array([feature.spread for feature in features.numeric], dtype=np.float64)


def _standardised(features: Features, numeric: NDArray[np.float32]) -> NDArray[np.float64]:
    mean, spread = _moments(features)
    return (numeric.astype(np.float64) - mean) / spread
