"""A small network over embeddings of categories: numbers and embeddings in, one logit an action out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from models.payments.graph import Graph
from models.payments.oracles.additive import standardised
from quaestor.export.encoding import Encoded, Features


@dataclass(frozen=True)
class EmbeddingParams:
    """width: of each embedding; hidden: units of the one hidden layer. device: cpu, or cuda where there is one;
    only cpu repeats itself bit for bit."""

    kind: Literal["embedding"] = "embedding"
    width: int = 8
    hidden: int = 64
    epochs: int = 8
    batch: int = 512
    learning_rate: float = 0.003
    decay: float = 0.0003
    device: Literal["cpu", "cuda"] = "cpu"

    def __post_init__(self) -> None:
        if min(self.width, self.hidden, self.epochs, self.batch) < 1 or not self.learning_rate > 0:
            raise ValueError("width, hidden, epochs and batch must be 1 or more, learning_rate above 0.")


@dataclass(frozen=True)
class EmbeddingOracle:
    """Fitted weights: tables (level, width), a hidden layer of rectified units, and two sums for each action: one over
    the hidden units, one straight from the inputs."""

    features: Features
    tables: tuple[NDArray[np.float32], ...]
    hidden: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    output: NDArray[np.float32]
    straight: NDArray[np.float32]
    output_bias: NDArray[np.float32]

    def predict(self, contexts: Encoded) -> NDArray[np.float64]:
        """Predicted rewards, (round, action).

        Sums run in doubles, here and in the graph: in float32 a probability would differ by up to 3e-6 between them.
        """
        parts = [standardised(self.features, contexts.numeric)[:, 1:]]
        parts += [table[codes] for codes, table in zip(contexts.category.T, self.tables, strict=True)]
        inputs = np.concatenate(parts, axis=1).astype(np.float64)
        units = np.maximum(inputs @ self.hidden.T + self.hidden_bias, 0)
        logit = units @ self.output.T + inputs @ self.straight.T + self.output_bias
        return np.asarray(1 / (1 + np.exp(-logit)))

    def add_to(self, graph: Graph, numeric: str, category: str) -> str:
        """Adds the prediction to a graph."""
        mean = np.array([feature.missing for feature in self.features.numeric], dtype=np.float32)
        scale = np.array([feature.spread for feature in self.features.numeric], dtype=np.float32)
        parts = [graph.op("Div", graph.op("Sub", numeric, graph.constant(mean)), graph.constant(scale))]
        for column, table in enumerate(self.tables):
            code = graph.op("Gather", category, graph.constant(np.array(column)), axis=1)
            parts.append(graph.op("Gather", graph.constant(table), code, axis=0))
        inputs = graph.cast(graph.op("Concat", *parts, axis=1), TensorProto.DOUBLE)
        hidden, bias, output_weights, output_bias, straight_weights = (
            graph.constant(np.ascontiguousarray(weights, dtype=np.float64))
            for weights in (self.hidden, self.hidden_bias, self.output, self.output_bias, self.straight.T)
        )
        units = graph.op("Relu", graph.op("Gemm", inputs, hidden, bias, transB=1))
        output = graph.op("Gemm", units, output_weights, output_bias, transB=1)
        return graph.op("Sigmoid", graph.op("Add", output, graph.op("MatMul", inputs, straight_weights)))
