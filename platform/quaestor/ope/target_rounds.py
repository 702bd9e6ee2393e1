"""A log seen from one target policy: what is read from (round, action) once, and every estimator then shares."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import MaturedBatch
from quaestor.ope.weights import check_probabilities, check_shape, taken

CELLS_AT_ONCE = 1 << 16
"""(round, action) cells that are checked and read together, while the processor's cache holds them."""


@dataclass(frozen=True)
class TargetRounds:
    """Matured rounds with the importance weights of a target policy.

    target and predicted (round, action): the policy's probabilities and the predicted rewards q, if any. weight
    (round,): π(a|x) / propensity of the action taken. predicted_taken (round,): q of the action taken.
    expected (round,): Σ_a π(a|x) q(x,a). position (round,): where the rounds stand in the batch they come from.
    """

    source: MaturedBatch
    position: NDArray[np.int64] | None
    target: NDArray[np.float64]
    predicted: NDArray[np.float64] | None
    reward: NDArray[np.float64]
    weight: NDArray[np.float64]
    predicted_taken: NDArray[np.float64] | None
    expected: NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def batch(self) -> MaturedBatch:
        """The rounds themselves."""
        return self.source if self.position is None else self.source.rows(self.position)

    @property
    def logging(self) -> NDArray[np.float64] | None:
        """The logging policy's probabilities of every action, (round, action), where the log holds them."""
        full = self.source.logged.probabilities
        return full if full is None or self.position is None else full[self.position]

    def rows(self, index: NDArray[np.int64]) -> TargetRounds:
        """The rounds at these positions, in this order."""
        return TargetRounds(
            self.source,
            index if self.position is None else self.position[index],
            self.target[index],
            None if self.predicted is None else self.predicted[index],
            self.reward[index],
            self.weight[index],
            None if self.predicted_taken is None else self.predicted_taken[index],
            None if self.expected is None else self.expected[index],
        )

    def with_predictions(self, predicted: NDArray[np.float64]) -> TargetRounds:
        """The same rounds with other predicted rewards, (round, action)."""
        action = self.source.logged.action
        at = action if self.position is None else action[self.position]
        expected = _expected(self.target, predicted)
        return replace(self, predicted=predicted, predicted_taken=taken(predicted, at), expected=expected)

    def model(self, estimator: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """expected and predicted_taken; raises ValueError where the named estimator lacks its predictions."""
        if self.expected is None or self.predicted_taken is None:
            raise ValueError(f"{estimator} needs predicted rewards, one for each round and action.")
        return self.expected, self.predicted_taken


def target_rounds(
    batch: MaturedBatch, target: NDArray[np.float64], predicted: NDArray[np.float64] | None = None
) -> TargetRounds:
    """A batch seen from a target policy, with probabilities target (round, action) and, for estimators that use
    a reward model, predicted (round, action) from an oracle that was fitted on other rounds.

    Raises ValueError when target is not a distribution over the eligible actions of each round, or a prediction
    that is needed is not finite.
    """
    logged = batch.logged
    if predicted is not None and predicted.shape != logged.eligible.shape:
        raise ValueError(f"predicted must be {logged.eligible.shape} (round, action), found {predicted.shape}.")
    check_shape(logged, target)
    weight, modelled, expected = np.empty(len(batch)), np.empty(len(batch)), np.empty(len(batch))
    step = max(1, CELLS_AT_ONCE // max(1, len(logged.actions)))
    for first in range(0, len(batch), step):
        part = slice(first, first + step)
        check_probabilities(target[part], logged.eligible[part])
        weight[part] = taken(target[part], logged.action[part])
        if predicted is not None:
            modelled[part] = taken(predicted[part], logged.action[part])
            expected[part] = _expected(target[part], predicted[part])
    weight /= logged.propensity
    if predicted is None:
        return TargetRounds(batch, None, target, None, batch.reward, weight, None, None)
    if not (np.isfinite(expected).all() and np.isfinite(modelled).all()):
        raise ValueError("predicted rewards must be finite for the actions taken and those that the policy would take.")
    return TargetRounds(batch, None, target, predicted, batch.reward, weight, modelled, expected)


def _expected(target: NDArray[np.float64], predicted: NDArray[np.float64]) -> NDArray[np.float64]:
    expected = np.einsum("ra,ra->r", target, predicted)
    lost = ~np.isfinite(expected)
    if lost.any():  # an action that is not eligible has probability 0; its prediction may be anything, even NaN
        some = target[lost]
        expected[lost] = np.where(some > 0, some * predicted[lost], 0.0).sum(axis=1)
    return np.asarray(expected)
