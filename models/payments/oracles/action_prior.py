"""How alike actions are believed to be: a Gaussian prior over their effects, its variances learned from the data.

Empirical Bayes by expectation maximisation for variance components (Dempster, Laird and Rubin 1977; Bishop,
"Pattern Recognition and Machine Learning", section 3.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST = 1e-6
_LEVELS = 4096


@dataclass(frozen=True)
class ActionPrior:
    """An effect on action a is shared + parts · φ(a) + own(a), each drawn from a normal law of mean 0.

    shared: variance of what all actions have in common. parts: variance of each feature of actions. own
    (action,): variance of what is an action's alone. described (action, part): features φ of the actions.
    """

    described: NDArray[np.float64]
    shared: float
    parts: float
    own: NDArray[np.float64]

    def covariance(self) -> NDArray[np.float64]:
        """(action, action)."""
        return self.shared + self.parts * self.described @ self.described.T + np.diag(self.own)

    def learned(self, mean: NDArray[np.float64], spread: NDArray[np.float64], each_own: bool) -> ActionPrior:
        """One step of expectation maximisation from posterior means (effect, action) and covariances (effect,
        action, action) of effects that the data speak about; each_own keeps one own variance an action."""
        inverse = np.linalg.inv(self.covariance())
        pulled = mean @ inverse
        explained = inverse[None] - inverse @ spread @ inverse
        total = explained.sum(axis=0)
        effects = len(mean)
        shared = self.shared + self.shared**2 * (np.square(pulled.sum(axis=1)).sum() - total.sum()) / effects
        parts = self.parts
        if self.described.shape[1]:
            seen = np.square(pulled @ self.described).sum() - np.trace(self.described.T @ total @ self.described)
            parts += self.parts**2 * seen / (effects * self.described.shape[1])
        own = self.own + np.square(self.own) * (np.square(pulled).sum(axis=0) - np.diag(total)) / effects
        if not each_own:
            own = np.full(len(own), own.mean())
        return ActionPrior(self.described, max(float(shared), LEAST), max(float(parts), LEAST), np.maximum(own, LEAST))


@dataclass(frozen=True)
class TablePosterior:
    """Effects (row, action) of a table, their variances (row, action), and the prior learned with them."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    prior: ActionPrior


def table_posterior(
    prior: ActionPrior, pull: NDArray[np.float64], curvature: NDArray[np.float64], steps: int, each_own: bool
) -> TablePosterior:
    """The posterior of a table whose rows are independent under the prior.

    curvature (row, action): −∂²/∂effect² of the log likelihood; pull (row, action): curvature × effect + gradient.
    steps: of expectation maximisation.
    """
    used = np.flatnonzero(curvature.sum(axis=1) > 0)
    for _ in range(steps if len(used) else 0):
        # A few thousand rows tell the variances; the heaviest say the most.
        some = used[np.argsort(-curvature[used].sum(axis=1), kind="stable")[:_LEVELS]]
        prior = prior.learned(*_moments(prior, pull[some], curvature[some]), each_own)
    mean, variance = np.zeros_like(pull), np.zeros_like(pull)
    for start in range(0, len(pull), _LEVELS):
        part = slice(start, start + _LEVELS)
        mean[part], spread = _moments(prior, pull[part], curvature[part])
        variance[part] = np.einsum("raa->ra", spread)
    return TablePosterior(mean, variance, prior)


def _moments(
    prior: ActionPrior, pull: NDArray[np.float64], curvature: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    precision = np.linalg.inv(prior.covariance())
    spread = np.linalg.inv(precision[None] + curvature[:, :, None] * np.eye(curvature.shape[1]))
    return np.einsum("rab,rb->ra", spread, pull), np.asarray(spread, dtype=np.float64)
