"""The plain reward model: a ridge regression for each action, shrunk towards one for all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.log.batch import LoggedBatch, MaturedBatch


@dataclass(frozen=True)
class Ridge:
    """Weighted ridge regressions of the reward on numbers and one-hot levels.

    One is fitted on all actions; then each action's residuals get one of their own with the same strength, which
    stays near 0 for actions seen seldom. strength: the penalty, in rounds of mean weight. levels: how many of
    the most frequent levels of each category count.
    """

    strength: float = 20.0
    levels: int = 50

    def __call__(self, training: MaturedBatch, weight: NDArray[np.float64], rounds: LoggedBatch) -> NDArray[np.float64]:
        """Predicted rewards, (round of rounds, action); a line may leave the range of rewards, and cutting it there
        would only add bias."""
        taught, asked = _design(training.logged.context, rounds.context, self.levels)
        scale = weight / weight.mean()
        shared = self._fit(taught, training.reward, scale, intercept=True)
        residual = training.reward - taught @ shared
        predicted = np.repeat((asked @ shared)[:, None], len(training.logged.actions), axis=1)
        for number in range(predicted.shape[1]):
            own = training.logged.action == number
            if own.any():
                predicted[:, number] += asked @ self._fit(taught[own], residual[own], scale[own])
        return predicted

    def _fit(
        self,
        design: NDArray[np.float64],
        reward: NDArray[np.float64],
        weight: NDArray[np.float64],
        intercept: bool = False,
    ) -> NDArray[np.float64]:
        weighted = design.T * weight
        penalty = np.full(design.shape[1], self.strength)
        if intercept:  # the level itself is not shrunk
            penalty[0] = 1e-9
        return np.asarray(np.linalg.solve(weighted @ design + np.diag(penalty), weighted @ reward))


def _design(taught: pl.DataFrame, asked: pl.DataFrame, levels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intercept, standardised numbers and one-hot levels of both contexts, by what the first one holds."""
    columns: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = [(np.ones(len(taught)), np.ones(len(asked)))]
    for name in taught.columns:
        if name.startswith("numeric_"):
            first, second = (side[name].cast(pl.Float64).fill_nan(None).to_numpy() for side in (taught, asked))
            known = first[np.isfinite(first)]
            spread = float(known.std()) if len(known) else 0.0
            if spread > 0:
                centre = float(known.mean())
                columns.append((_standard(first, centre, spread), _standard(second, centre, spread)))
        else:
            frequent = taught[name].drop_nulls().value_counts(sort=True)[name].head(levels).sort()
            for level in frequent.to_list()[1:]:
                columns.append((_one_hot(taught[name], level), _one_hot(asked[name], level)))
    return np.column_stack([c[0] for c in columns]), np.column_stack([c[1] for c in columns])


def _standard(values: NDArray[np.float64], centre: float, spread: float) -> NDArray[np.float64]:
    return np.asarray(np.nan_to_num((values - centre) / spread))


def _one_hot(values: pl.Series, level: str) -> NDArray[np.float64]:
    return np.asarray((values == level).fill_null(False).to_numpy(), dtype=np.float64)
