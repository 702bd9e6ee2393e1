"""How importance weights are spread, for a chart."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from quaestor.ope.target_rounds import TargetRounds

EDGES = (0.0, 0.01, 0.1, 0.3, 0.5, 0.8, 1.25, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1000.0)


@dataclass(frozen=True)
class WeightHistogram:
    """Bins of weights: bin k holds edges[k] ≤ w < edges[k + 1], the last one all above. of_rounds (bin,): share of
    rounds. of_weight (bin,): share of all weight, which is what the estimate rests on."""

    edges: tuple[float, ...]
    of_rounds: tuple[float, ...]
    of_weight: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """The histogram as plain values."""
        return asdict(self)


def weight_histogram(rounds: TargetRounds) -> WeightHistogram:
    """The weights of a target policy in fixed bins, so that policies and logs can be compared."""
    at = np.searchsorted(EDGES, rounds.weight, side="right") - 1
    counts = np.bincount(at, minlength=len(EDGES)) / len(rounds)
    weights = np.bincount(at, rounds.weight, len(EDGES))
    total = max(float(weights.sum()), np.finfo(np.float64).tiny)
    return WeightHistogram(EDGES, tuple(map(float, counts)), tuple(map(float, weights / total)))
