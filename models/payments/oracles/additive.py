"""Additive logistic regression: numbers, categories, curves and pairs, each with an effect on every action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from scipy.special import expit

from models.payments.graph import Graph
from models.payments.oracles.terms import BINS, Terms
from quaestor.export.encoding import Encoded, Features

ROUNDS = 16_384
"""Rounds predicted at a time."""


@dataclass(frozen=True)
class AdditiveParams:
    """sweeps: passes over all effects at most, before curves and pairs are sought. terms: curves and pairs at
    most. head: the share of the rounds on which both happens; where it is below 1, one more sweep sees them all.
    How far effects are shrunk, and how alike actions are, is learned from the data."""

    kind: Literal["additive"] = "additive"
    sweeps: int = 4
    terms: int = 24
    head: float = 1.0

    def __post_init__(self) -> None:
        if self.sweeps < 1 or self.terms < 0 or not 0 < self.head <= 1:
            raise ValueError("sweeps must be 1 or more, terms 0 or more, and head above 0 and at most 1.")


@dataclass(frozen=True)
class Variances:
    """What a prior has learned: of shared effects, of parts of actions, and of each action's own (action,)."""

    shared: float
    parts: float
    own: NDArray[np.float64]


@dataclass(frozen=True)
class AdditiveOracle:
    """Effects on the logit with their posterior variances (Laplace's approximation).

    weights (action, 1 + number): of 1 and the standardised numbers; covariance (action, 1 + number, 1 + number).
    tables, table variances (row, action): one table for each category, curve and pair. edges (number, bin − 1):
    between bins of standardised numbers. learned: the variances behind the weights and each table.
    """

    features: Features
    terms: Terms
    edges: NDArray[np.float32]
    weights: NDArray[np.float64]
    covariance: NDArray[np.float64]
    tables: tuple[NDArray[np.float64], ...]
    variances: tuple[NDArray[np.float64], ...]
    learned: tuple[Variances, ...]

    def predict(self, contexts: Encoded) -> NDArray[np.float64]:
        """Predicted rewards, (round, action)."""
        return np.asarray(expit(self.logits(contexts)))

    def logits(self, contexts: Encoded) -> NDArray[np.float64]:
        """Log odds of the reward, (round, action)."""
        logit = np.empty((len(contexts), len(self.weights)))
        for start in range(0, len(contexts), ROUNDS):
            part = contexts.rows(np.arange(start, min(start + ROUNDS, len(contexts))))
            design = standardised(self.features, part.numeric)
            sums = design.astype(np.float64) @ self.weights.T
            for code, table in zip(
                table_codes(self.terms, self.edges, design, part.category), self.tables, strict=True
            ):
                sums += table[code]
            logit[start : start + ROUNDS] = sums
        return logit

    def spread(self, contexts: Encoded) -> NDArray[np.float64]:
        """Standard errors of the predicted rewards, (round, action)."""
        found = np.empty((len(contexts), len(self.weights)))
        for start in range(0, len(contexts), ROUNDS):
            part = contexts.rows(np.arange(start, min(start + ROUNDS, len(contexts))))
            design = standardised(self.features, part.numeric).astype(np.float64)
            variance = np.stack(
                [np.einsum("rf,fg,rg->r", design, c, design, optimize=True) for c in self.covariance], 1
            )
            codes = table_codes(self.terms, self.edges, design.astype(np.float32), part.category)
            for code, table in zip(codes, self.variances, strict=True):
                variance += table[code]
            chance = self.predict(part)
            found[start : start + ROUNDS] = np.sqrt(variance) * chance * (1 - chance)
        return found

    def add_to(self, graph: Graph, numeric: str, category: str) -> str:
        """Adds the prediction to a graph."""
        return graph.op("Sigmoid", self._add_sum(graph, numeric, category, self.tables, None))

    def add_spread_to(self, graph: Graph, numeric: str, category: str) -> str:
        """Adds the standard errors of the predicted rewards to a graph, as doubles."""
        chance = self.add_to(graph, numeric, category)
        variance = self._add_sum(graph, numeric, category, self.variances, self.covariance)
        slope = graph.op("Mul", chance, graph.op("Sub", graph.constant(np.array(1.0)), chance))
        return graph.op("Mul", graph.op("Sqrt", variance), slope)

    def _add_sum(
        self,
        graph: Graph,
        numeric: str,
        category: str,
        tables: tuple[NDArray[np.float64], ...],
        covariance: NDArray[np.float64] | None,
    ) -> str:
        """Tables' entries and, of the design, its weighted sum, or the quadratic form where a covariance is given."""
        mean, spread = moments(self.features)
        values = graph.op("Div", graph.op("Sub", numeric, graph.constant(mean)), graph.constant(spread))
        wide = graph.cast(values, TensorProto.DOUBLE)
        if covariance is None:
            total = graph.op(
                "Gemm", wide, graph.constant(self.weights[:, 1:]), graph.constant(self.weights[:, 0]), transB=1
            )
        else:
            # z'Cz + 2 c'z + c₀, one action at a time through a batched product.
            axis = graph.constant(np.array([0]))
            turned = graph.op("MatMul", graph.op("Unsqueeze", wide, axis), graph.constant(covariance[:, 1:, 1:]))
            square = graph.op("ReduceSum", graph.op("Mul", turned, wide), graph.constant(np.array([2])), keepdims=0)
            straight = graph.op(
                "Gemm", wide, graph.constant(2 * covariance[:, 0, 1:]), graph.constant(covariance[:, 0, 0]), transB=1
            )
            total = graph.op("Add", graph.op("Transpose", square, perm=[1, 0]), straight)
        if not tables:
            return total
        return graph.op("Add", total, graph.sum_of_rows(tables, self._add_codes(graph, values, category)))

    def _add_codes(self, graph: Graph, values: str, category: str) -> str:
        """The rows of all tables that a round reads, (round, table)."""
        if not self.terms.curves and not self.terms.pairs:
            return category
        last = graph.constant(np.array([2]))
        above = graph.op("Greater", graph.op("Unsqueeze", values, last), graph.constant(self.edges[None]))
        bins = graph.op("ReduceSum", graph.cast(above, TensorProto.INT64), last, keepdims=0)
        parts = [category]

        def chosen(source: str, columns: list[int]) -> str:
            return graph.op("Gather", source, graph.constant(np.array(columns, dtype=np.int64)), axis=1)

        if self.terms.curves:
            parts.append(chosen(bins, list(self.terms.curves)))
        if self.terms.pairs:
            coarse = graph.op("Div", bins, graph.constant(np.array(2)))
            first, second = (chosen(coarse, list(column)) for column in zip(*self.terms.pairs, strict=True))
            parts.append(graph.op("Add", graph.op("Mul", first, graph.constant(np.array(BINS // 2))), second))
        return graph.op("Concat", *parts, axis=1)


def moments(features: Features) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Means and spreads of the numbers, (feature,)."""
    mean = np.array([feature.missing for feature in features.numeric], dtype=np.float32)
    return mean, np.array([feature.spread for feature in features.numeric], dtype=np.float32)


def standardised(features: Features, numeric: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 and the standardised numbers, (round, 1 + feature)."""
    mean, spread = moments(features)
    design = np.ones((len(numeric), 1 + len(mean)), dtype=np.float32)
    design[:, 1:] = (numeric - mean) / spread
    return design


def table_codes(
    terms: Terms, edges: NDArray[np.float32], design: NDArray[np.float32], category: NDArray[np.int64]
) -> list[NDArray[np.int64] | NDArray[np.int32]]:
    """The row of each table that a round reads: categories, curves, pairs."""
    if not terms.curves and not terms.pairs:
        return list(category.T)
    return [*category.T, *terms.codes(design[:, 1:], edges)]
