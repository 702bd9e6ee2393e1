"""How importance weights are spread, for a chart of overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EDGES = (0.0, 0.01, 0.1, 0.3, 0.5, 0.8, 1.25, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1000.0)


@dataclass(frozen=True)
class WeightHistogram:
    """Bins of weights: bin k holds edges[k] ≤ w < edges[k + 1], the last one all above. of_rounds (bin,): share of
    rounds. of_weight (bin,): share of all weight, which is what the estimate rests on."""

    edges: tuple[float, ...]
    of_rounds: tuple[float, ...]
    of_weight: tuple[float, ...]


def weight_histogram(weight: NDArray[np.float64]) -> WeightHistogram:
    """The weights of rounds (round,) in fixed bins, so that policies and logs can be compared."""
    at = np.searchsorted(EDGES, weight, side="right") - 1
    counts = np.bincount(at, minlength=len(EDGES)) / len(weight)
    weights = np.bincount(at, weight, len(EDGES))
    total = max(float(weights.sum()), np.finfo(np.float64).tiny)
    return WeightHistogram(EDGES, tuple(map(float, counts)), tuple(map(float, weights / total)))
