"""Curves and pairs of numbers that a straight line misses, found by what they would explain of the residuals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from models.payments.training_rows import Chunk, TrainingRows

BINS = 16
"""Bins of a number in a curve; a pair uses every second edge."""
EDGE_ROUNDS = 16_384
"""Rounds that edges between bins are read from, about."""
SAMPLE = 6
"""Chunks that are looked at to choose terms."""
LIMIT = 4.0
"""Standardised values are cut here before products are taken: one outlier must not choose a term."""


@dataclass(frozen=True)
class Terms:
    """Which numbers have a curve, and which two have a table of their own, for each of their bins."""

    curves: tuple[int, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()

    def codes(self, numbers: NDArray[np.float32], edges: NDArray[np.float32]) -> list[NDArray[np.int32]]:
        """Rows of each term's table, from standardised numbers (round, feature)."""
        used = {*self.curves, *(feature for pair in self.pairs for feature in pair)}
        bins = {feature: bins_of(numbers[:, feature], edges[feature]) for feature in used}
        width = np.int32(BINS // 2)
        pairs = [bins[f] // 2 * width + bins[g] // 2 for f, g in self.pairs]
        return [bins[feature] for feature in self.curves] + pairs

    def sizes(self) -> list[int]:
        """Rows of each term's table."""
        return [BINS] * len(self.curves) + [(BINS // 2) ** 2] * len(self.pairs)


def edges_of(standardised: NDArray[np.float32]) -> NDArray[np.float32]:
    """Edges (feature, BINS − 1) between bins of about equal counts, from standardised numbers (round, feature)."""
    if standardised.shape[1] == 0:
        return np.zeros((0, BINS - 1), dtype=np.float32)
    some = standardised[:: max(1, len(standardised) // EDGE_ROUNDS)]
    return np.quantile(some, np.arange(1, BINS) / BINS, axis=0).T.astype(np.float32)


def bins_of(numbers: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.int32]:
    """The bin of each number (round,): how many edges it is above."""
    column = np.ascontiguousarray(numbers)
    bins = np.zeros(len(column), dtype=np.uint8)
    for edge in edges:  # a few comparisons in a row are faster than a search that branches
        bins += column > edge
    return bins.astype(np.int32)


def more_terms(rows: TrainingRows, edges: NDArray[np.float32], known: Terms, room: int) -> Terms:
    """Adds for each action the curve and the pair with the strongest score test (Rao 1948) on the residuals.

    A term enters when chance alone would bring in one in twenty worlds (Bonferroni over all candidates); at most
    `room` of them, the strongest first.
    """
    numbers, actions = len(edges), rows.actions
    if room <= 0 or numbers == 0:
        return known
    curve, pair = _scores(rows, edges)
    limit = float(norm.isf(0.05 / (actions * numbers * (numbers + 1))))
    found: list[tuple[float, int, int]] = []
    for action in range(actions):
        best = int(curve[action].argmax())
        found.append((float(curve[action, best]), best, best))
        first, second = np.unravel_index(int(pair[action].argmax()), (numbers, numbers))
        found.append((float(pair[action, first, second]), int(min(first, second)), int(max(first, second))))
    curves, pairs = list(known.curves), list(known.pairs)
    for score, one, other in sorted(found, reverse=True):
        if score < limit or len(curves) + len(pairs) >= room + len(known.curves) + len(known.pairs):
            break
        if one == other and one not in curves:
            curves.append(one)
        elif one != other and (one, other) not in pairs:
            pairs.append((one, other))
    return Terms(tuple(curves), tuple(pairs))


def _scores(rows: TrainingRows, edges: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Standard scores of curves (action, feature) and of products (action, feature, feature)."""
    numbers, actions = len(edges), rows.actions
    pull, weight = (np.zeros((numbers, BINS * actions)) for _ in range(2))
    product, spread = (np.zeros((actions, numbers, numbers)) for _ in range(2))
    for chunk in _sample(rows):
        standardised = chunk.design[:, 1:]
        for feature in range(numbers):
            cells = bins_of(standardised[:, feature], edges[feature]).astype(np.intp) * actions + chunk.action
            pull[feature] += np.bincount(cells, chunk.residual, BINS * actions)
            weight[feature] += np.bincount(cells, chunk.curvature, BINS * actions)
        cut = np.clip(standardised, -LIMIT, LIMIT)
        for action in range(actions):
            part = chunk.of_action(action)
            values = cut[part]
            product[action] += values.T @ (values * chunk.residual[part, None])
            squares = np.square(values)
            spread[action] += squares.T @ (squares * chunk.curvature[part, None])
    chi = np.square(pull) / np.maximum(weight, 1e-9)
    freedom = BINS - 2
    total = chi.reshape(numbers, BINS, actions).sum(axis=1).T
    # Wilson and Hilferty 1931: the cube root of a chi-squared is close to normal.
    shrink = 2 / (9 * freedom)
    curve = (np.cbrt(total / freedom) - (1 - shrink)) / np.sqrt(shrink)
    pair = np.abs(product) / np.sqrt(np.maximum(spread, 1e-9))
    pair[:, np.arange(numbers), np.arange(numbers)] = 0
    return curve, pair


def _sample(rows: TrainingRows) -> list[Chunk]:
    chunks = rows.chunks()
    chosen = np.unique(np.linspace(0, len(chunks) - 1, min(SAMPLE, len(chunks))).round().astype(int))
    return [chunks[number] for number in chosen]
