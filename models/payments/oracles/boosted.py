"""Gradient-boosted trees on numbers and on each category's mean reward under each action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold
from sklearn.preprocessing import TargetEncoder

from models.payments.graph import Graph
from models.payments.oracles.oracle import TrainingSet
from quaestor.export.encoding import Encoded, Features


@dataclass(frozen=True)
class BoostedParams:
    """trees and leaves bound the model's size; learning_rate shrinks each tree."""

    kind: Literal["boosted"] = "boosted"
    trees: int = 150
    leaves: int = 31
    learning_rate: float = 0.08

    def __post_init__(self) -> None:
        if self.trees < 1 or self.leaves < 2 or not 0 < self.learning_rate <= 1:
            raise ValueError("trees must be 1 or more, leaves 2 or more, learning_rate in (0, 1].")


@dataclass(frozen=True)
class Trees:
    """Every node of a boosted ensemble, in one array a field; leaves have feature −1.

    tree and node number a node; left and right number its children; a round goes left where its feature is at
    most the threshold. value is what a leaf adds to the prediction, which starts at base.
    """

    tree: NDArray[np.int64]
    node: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]
    base: float


@dataclass(frozen=True)
class BoostedOracle:
    """Fitted trees over [numbers, encoded categories, action], with one table (level, action) a category."""

    features: Features
    tables: tuple[NDArray[np.float64], ...]
    model: Any
    trees: Trees
    actions: int

    def predict(self, contexts: Encoded) -> NDArray[np.float64]:
        """Predicted rewards, (round, action)."""
        predicted = np.empty((len(contexts), self.actions))
        for action in range(self.actions):
            chosen = np.full(len(contexts), action)
            encoded = [table[codes, action] for codes, table in zip(contexts.category.T, self.tables, strict=True)]
            predicted[:, action] = self.model.predict(_inputs(contexts, encoded, chosen, self.actions))
        return np.clip(predicted, 0.0, 1.0)

    def add_to(self, graph: Graph, numeric: str, category: str) -> str:
        """Adds the prediction to a graph: one row for each pair of round and action goes through the trees."""
        rounds = graph.op("Shape", numeric, start=0, end=1)

        def each_action(tensor: str, width: int) -> str:
            sizes = graph.constant(np.array([self.actions, width]))
            return graph.op("Expand", tensor, graph.op("Concat", rounds, sizes, axis=0))

        width = len(self.features.numeric)
        columns = [each_action(graph.op("Unsqueeze", numeric, graph.constant(np.array([1]))), width)]
        for column, table in enumerate(self.tables):
            code = graph.op("Gather", category, graph.constant(np.array(column)), axis=1)
            encoded = graph.op("Gather", graph.constant(table.astype(np.float32)), code, axis=0)
            columns.append(graph.op("Unsqueeze", encoded, graph.constant(np.array([2]))))
        columns.append(each_action(graph.constant(np.eye(self.actions, dtype=np.float32)[None]), self.actions))
        width += len(self.tables) + self.actions
        rows = graph.op("Reshape", graph.op("Concat", *columns, axis=2), graph.constant(np.array([-1, width])))
        scores = graph.op("ml:TreeEnsembleRegressor", rows, **_attributes(self.trees))
        shaped = graph.op("Reshape", scores, graph.constant(np.array([-1, self.actions])))
        return graph.op(
            "Clip",
            graph.cast(shaped, TensorProto.DOUBLE),
            graph.constant(np.array(0.0)),
            graph.constant(np.array(1.0)),
        )


def fit_boosted(params: BoostedParams, training: TrainingSet, seed: int) -> BoostedOracle:
    """Fits squared loss.

    Categories enter as the mean reward of (level, action), cross-fitted so that a round never sees its own
    outcome (Micci-Barreca 2001, "A preprocessing scheme for high-cardinality categorical attributes").
    """
    features, contexts, action, actions = training.features, training.contexts, training.action, training.actions
    encoders = [
        TargetEncoder(target_type="continuous", cv=KFold(5, shuffle=True, random_state=seed % 2**31))
        for _ in features.category
    ]
    crossed = [(codes * actions + action)[:, None] for codes in contexts.category.T]
    encoded = [
        encoder.fit_transform(cross, training.reward)[:, 0] for encoder, cross in zip(encoders, crossed, strict=True)
    ]
    model = HistGradientBoostingRegressor(
        max_iter=params.trees,
        max_leaf_nodes=params.leaves,
        learning_rate=params.learning_rate,
        early_stopping=False,
        random_state=seed % 2**31,
    )
    model.fit(_inputs(contexts, encoded, action, actions), training.reward, sample_weight=training.weight)
    _snap(model)
    tables = tuple(
        _table(encoder, len(feature.levels) + 1, actions)
        for encoder, feature in zip(encoders, features.category, strict=True)
    )
    return BoostedOracle(features, tables, model, _unpacked(model), actions)


def _inputs(
    contexts: Encoded, encoded: list[NDArray[np.float64]], action: NDArray[np.int64], actions: int
) -> NDArray[np.float32]:
    categories = np.array(encoded, dtype=np.float32).reshape(len(encoded), len(contexts)).T
    return np.concatenate((contexts.numeric, categories, np.eye(actions, dtype=np.float32)[action]), axis=1)


def _table(encoder: TargetEncoder, levels: int, actions: int) -> NDArray[np.float64]:
    """The encoding of every (level, action); pairs that were never seen take the overall mean."""
    pairs = np.arange(levels * actions)[:, None]
    return np.asarray(encoder.transform(pairs)).reshape(levels, actions)


def _snap(model: HistGradientBoostingRegressor) -> None:
    """Rounds the base and every leaf to multiples of one power of two, so fine that predictions move by a few 1e-6.

    Every partial sum then fits a float32 exactly: the graph, which adds in float32 and in any order, gives the
    same bits as the fitted trees. Without it an exported probability differs by up to 2e-5.
    """
    tables = [predictor.nodes for (predictor,) in model._predictors]
    base = model._baseline_prediction
    reach = float(np.abs(base).max()) + sum(
        float(np.abs(table["value"][table["is_leaf"] > 0]).max()) for table in tables
    )
    step = 2.0 ** (np.ceil(np.log2(reach * 1.001)) - np.finfo(np.float32).nmant - 1)
    model._baseline_prediction = np.round(base / step) * step
    for table in tables:
        table["value"] = np.round(table["value"] / step) * step


def _unpacked(model: HistGradientBoostingRegressor) -> Trees:
    nodes = [predictor.nodes for (predictor,) in model._predictors]
    sizes = [len(table) for table in nodes]
    joined = np.concatenate(nodes)
    leaf = joined["is_leaf"].astype(bool)
    return Trees(
        tree=np.repeat(np.arange(len(nodes)), sizes),
        node=np.concatenate([np.arange(size) for size in sizes]),
        feature=np.where(leaf, -1, joined["feature_idx"]),
        threshold=_rounded_down(joined["num_threshold"]),
        left=joined["left"].astype(np.int64),
        right=joined["right"].astype(np.int64),
        value=joined["value"].astype(np.float64),
        base=float(np.ravel(model._baseline_prediction)[0]),
    )


def _rounded_down(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 at most each threshold: a float32 input then goes the same way as in float64."""
    nearest = threshold.astype(np.float32)
    return np.where(nearest > threshold, np.nextafter(nearest, np.float32(-np.inf)), nearest).astype(np.float32)


def _attributes(trees: Trees) -> dict[str, Any]:
    leaf = trees.feature < 0
    return {
        "n_targets": 1,
        "nodes_treeids": trees.tree,
        "nodes_nodeids": trees.node,
        "nodes_featureids": np.maximum(trees.feature, 0),
        "nodes_modes": ["LEAF" if is_leaf else "BRANCH_LEQ" for is_leaf in leaf],
        "nodes_values": trees.threshold,
        "nodes_truenodeids": trees.left,
        "nodes_falsenodeids": trees.right,
        "target_ids": np.zeros(int(leaf.sum()), dtype=np.int64),
        "target_nodeids": trees.node[leaf],
        "target_treeids": trees.tree[leaf],
        "target_weights": trees.value[leaf].astype(np.float32),
        "base_values": np.array([trees.base], dtype=np.float32),
    }
