"""Predicted rewards for rounds that did not teach them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import LoggedBatch, MaturedBatch
from quaestor.randomness import event_keys, uniforms


class RewardModel(Protocol):
    """Any oracle: fits rewards on some rounds, each with a weight, and predicts others."""

    def __call__(self, training: MaturedBatch, weight: NDArray[np.float64], rounds: LoggedBatch) -> NDArray[np.float64]:
        """weight (round of training,); returns predicted rewards (round of rounds, action)."""


def cross_fitted(
    batch: MaturedBatch, model: RewardModel, folds: int = 3, weight: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Predicted rewards (round, action), each from a model fitted on the other folds (Chernozhukov et al. 2018,
    definition 3.2).

    A round's fold is a function of its event id, so that repeats of a round stay together. weight (round,):
    what each round counts in fitting, equal by default. Raises ValueError for fewer than 2 folds.
    """
    if folds < 2:
        raise ValueError(f"cross-fitting needs 2 or more folds, found {folds}.")
    counts = np.ones(len(batch)) if weight is None else weight
    keys = event_keys("cross-fitting", batch.logged.system, batch.logged.event_ids.to_list())
    fold = (uniforms(keys, 1)[:, 0] * folds).astype(np.int64)
    predicted = np.empty(batch.logged.eligible.shape)
    for number in range(folds):
        judged, others = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        if len(judged) == 0:
            continue
        if len(others) == 0:
            raise ValueError(f"{len(batch)} rounds are too few to cross-fit in {folds} folds.")
        predicted[judged] = model(batch.rows(others), counts[others], batch.logged.rows(judged))
    return predicted
