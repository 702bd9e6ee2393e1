"""Means, spreads and ranges of numbers that pass by in batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LANES = 64
"""Rounds that are summed side by side: long rows keep the processor's vector units busy."""
ROUNDS = 65_536
"""Rounds at a time: few enough for the processor's cache."""


class RunningMoments:
    """Sums of features (feature,) around a pivot near their means, so that large means cost no digits."""

    def __init__(self, features: int) -> None:
        self.rounds = 0
        self.count = np.zeros(features, dtype=np.int64)
        self.lowest, self.highest = np.full(features, np.inf), np.full(features, -np.inf)
        self._pivot: NDArray[np.float32] | None = None
        self._sum, self._square = np.zeros(features), np.zeros(features)

    def add(self, values: NDArray[np.float32]) -> None:
        """Takes in values (round, feature), NaN where missing."""
        for start in range(0, len(values), ROUNDS):
            self._add(values[start : start + ROUNDS])

    def mean(self) -> NDArray[np.float64]:
        """(feature,); 0 where every value was missing."""
        return np.asarray(self._base() + self._sum / np.maximum(self.count, 1))

    def spread(self) -> NDArray[np.float64]:
        """Standard deviations, (feature,)."""
        centred = self._square - np.square(self._sum) / np.maximum(self.count, 1)
        return np.asarray(np.sqrt(np.maximum(centred, 0) / np.maximum(self.count - 1, 1)))

    def _base(self) -> NDArray[np.float32] | float:
        return 0.0 if self._pivot is None else self._pivot

    def _add(self, values: NDArray[np.float32]) -> None:
        low, high = _over_rounds(np.minimum, values, np.inf), _over_rounds(np.maximum, values, -np.inf)
        self.rounds += len(values)
        whole = bool(np.isfinite(low).all() and np.isfinite(high).all())
        if whole:
            self.count += len(values)
        else:
            present = np.isfinite(values)
            self.count += present.sum(axis=0)
            low = np.where(present, values, np.inf).min(axis=0)
            high = np.where(present, values, -np.inf).max(axis=0)
        self.lowest, self.highest = np.minimum(self.lowest, low), np.maximum(self.highest, high)
        if self._pivot is None:
            middle = (low.astype(np.float64) + high) / 2
            self._pivot = np.where(np.isfinite(middle), middle, 0.0).astype(np.float32)
        centred = values - self._pivot
        if not whole:
            np.nan_to_num(centred, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        self._sum += _over_rounds(np.add, centred, 0.0)
        self._square += _over_rounds(np.add, np.square(centred), 0.0)


def _over_rounds(reduce: np.ufunc, values: NDArray[np.float32], neutral: float) -> NDArray[np.float64]:
    """A reduction of values (round, feature) over rounds, (feature,)."""
    whole = len(values) // LANES * LANES
    features = values.shape[1]
    found = np.full(features, neutral)
    if whole:
        lanes = reduce.reduce(values[:whole].reshape(-1, LANES * features), axis=0)
        found = reduce.reduce(lanes.reshape(LANES, features).astype(np.float64), axis=0)
    rest = reduce.reduce(values[whole:].astype(np.float64), axis=0, initial=neutral)
    return np.asarray(reduce(found, rest))
