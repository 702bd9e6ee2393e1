"""Ridge regression for each action, with the uncertainty of its predictions (LinUCB's and linear Thompson's model)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from models.payments.graph import Graph
from models.payments.oracles.additive import standardised
from models.payments.oracles.oracle import TrainingSet
from quaestor.export.encoding import Encoded, Features


@dataclass(frozen=True)
class RidgeParams:
    """penalty: λ of the ridge, in rounds. smoothing: rounds of the overall mean that each category level starts
    with when it is replaced by its mean reward under an action."""

    kind: Literal["ridge"] = "ridge"
    penalty: float = 1.0
    smoothing: float = 20.0

    def __post_init__(self) -> None:
        if not self.penalty > 0 or not self.smoothing >= 0:
            raise ValueError("penalty must be above 0 and smoothing 0 or more.")


@dataclass(frozen=True)
class RidgeOracle:
    """Fitted weights θ (action, column) over [1, standardised numbers, encoded categories]; inverse (action, column,
    column): σ²A⁻¹, A = λI + Σxxᵀ; tables (level, action): centred mean rewards."""

    features: Features
    weights: NDArray[np.float64]
    inverse: NDArray[np.float64]
    tables: tuple[NDArray[np.float64], ...]

    def predict(self, contexts: Encoded) -> NDArray[np.float64]:
        """Predicted rewards, (round, action)."""
        design = _design(self.features, contexts, self.tables)
        return np.clip(np.einsum("rac,ac->ra", design, self.weights), 0.0, 1.0)

    def spread(self, contexts: Encoded) -> NDArray[np.float64]:
        """σ√(xᵀA⁻¹x), (round, action) (Li, Chu, Langford and Schapire 2010, equation 5)."""
        design = _design(self.features, contexts, self.tables)
        return np.asarray(np.sqrt(np.einsum("rac,acd,rad->ra", design, self.inverse, design, optimize=True)))

    def add_to(self, graph: Graph, numeric: str, category: str) -> str:
        """Adds the prediction to a graph."""
        rows = self._add_design(graph, numeric, category)
        product = graph.op("Mul", rows, graph.constant(self.weights))
        sums = graph.op("ReduceSum", product, graph.constant(np.array([2])), keepdims=0)
        return graph.op("Clip", sums, graph.constant(np.array(0.0)), graph.constant(np.array(1.0)))

    def add_spread_to(self, graph: Graph, numeric: str, category: str) -> str:
        """Adds the standard errors to a graph."""
        rows = self._add_design(graph, numeric, category)
        by_action = graph.op("Transpose", rows, perm=[1, 0, 2])
        turned = graph.op("MatMul", by_action, graph.constant(self.inverse))
        square = graph.op("ReduceSum", graph.op("Mul", turned, by_action), graph.constant(np.array([2])), keepdims=0)
        return graph.op("Sqrt", graph.op("Transpose", square, perm=[1, 0]))

    def _add_design(self, graph: Graph, numeric: str, category: str) -> str:
        """[1, numbers, encoded categories] of every action, (round, action, column)."""
        actions = len(self.weights)
        rounds = graph.op("Shape", numeric, start=0, end=1)
        mean = np.array([feature.missing for feature in self.features.numeric], dtype=np.float32)
        scale = np.array([feature.spread for feature in self.features.numeric], dtype=np.float32)
        numbers = graph.op("Div", graph.op("Sub", numeric, graph.constant(mean)), graph.constant(scale))
        axis = graph.constant(np.array([1]))
        last = graph.constant(np.array([2]))

        def each_action(tensor: str, width: int) -> str:
            sizes = graph.constant(np.array([actions, width]))
            return graph.op("Expand", tensor, graph.op("Concat", rounds, sizes, axis=0))

        columns = [
            each_action(graph.constant(np.ones((1, 1, 1))), 1),
            each_action(graph.op("Unsqueeze", graph.cast(numbers, TensorProto.DOUBLE), axis), len(mean)),
        ]
        for column, table in enumerate(self.tables):
            code = graph.op("Gather", category, graph.constant(np.array(column)), axis=1)
            columns.append(graph.op("Unsqueeze", graph.op("Gather", graph.constant(table), code, axis=0), last))
        return graph.op("Concat", *columns, axis=2)


def fit_ridge(params: RidgeParams, training: TrainingSet) -> RidgeOracle:
    """Fits each action by its own ridge, in closed form.

    Categories enter as centred mean rewards of (level, action), each round's own reward left out of its mean.
    """
    weight = np.ones(len(training)) if training.weight is None else training.weight
    overall = float(np.average(training.reward, weights=weight)) if len(training) else 0.5
    tables, columns = [], []
    for codes, feature in zip(training.contexts.category.T, training.features.category, strict=True):
        size = (len(feature.levels) + 1) * training.actions
        cell = codes * training.actions + training.action
        total = np.bincount(cell, weight * (training.reward - overall), size)
        count = np.bincount(cell, weight, size) + params.smoothing
        tables.append((total / np.maximum(count, 1e-9)).reshape(-1, training.actions))
        own = weight * (training.reward - overall)
        columns.append((total[cell] - own) / np.maximum(count[cell] - weight, 1e-9))
    numbers = standardised(training.features, training.contexts.numeric).astype(np.float64)
    design = np.concatenate((numbers, np.array(columns).reshape(len(columns), len(training)).T), axis=1)
    width = design.shape[1]
    weights, inverse = np.zeros((training.actions, width)), np.zeros((training.actions, width, width))
    centre = np.eye(width)[0] * overall
    squares, freedom = 0.0, 0.0
    for action in range(training.actions):
        own_rounds = training.action == action
        x, w = design[own_rounds], weight[own_rounds]
        inverse[action] = np.linalg.inv(params.penalty * np.eye(width) + x.T @ (x * w[:, None]))
        weights[action] = centre + inverse[action] @ (x.T @ (w * (training.reward[own_rounds] - x @ centre)))
        squares += float(w @ np.square(training.reward[own_rounds] - x @ weights[action]))
        freedom += float(w.sum())
    noise = squares / max(freedom, 1.0) if squares else 0.25
    return RidgeOracle(training.features, weights, noise * inverse, tuple(tables))


def _design(features: Features, contexts: Encoded, tables: tuple[NDArray[np.float64], ...]) -> NDArray[np.float64]:
    """(round, action, column)."""
    numbers = standardised(features, contexts.numeric).astype(np.float64)
    actions = tables[0].shape[1] if tables else 1
    shape = (len(contexts), actions, numbers.shape[1])
    encoded = [table[codes][:, :, None] for codes, table in zip(contexts.category.T, tables, strict=True)]
    return np.concatenate((np.broadcast_to(numbers[:, None], shape), *encoded), axis=2)
