"""The plain reward model: a ridge regression for each action, shrunk towards one for all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import LoggedBatch, MaturedBatch
from quaestor.ope.design import design


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
        taught, asked = design(training.logged.context, rounds.context, self.levels)
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
