"""Importance weights, and whether they can carry an estimate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import LoggedBatch, MaturedBatch


def importance_weights(logged: LoggedBatch, target: NDArray[np.float64]) -> NDArray[np.float64]:
    """π(a|x) / propensity of the action taken, (round,); target (round, action) are the policy's probabilities.

    Raises ValueError when target is not a distribution over the eligible actions of each round.
    """
    check_target(logged, target)
    return target[np.arange(len(logged)), logged.action] / logged.propensity


def check_target(logged: LoggedBatch, target: NDArray[np.float64]) -> None:
    """Raises ValueError when target (round, action) is not a distribution over each round's eligible actions."""
    if target.shape != logged.eligible.shape:
        raise ValueError(f"target must be {logged.eligible.shape} (round, action), found {target.shape}.")
    if not np.isfinite(target).all() or (target < 0).any() or (target[~logged.eligible] != 0).any():
        raise ValueError("target probabilities must be finite, 0 or more, and 0 for actions that are not eligible.")
    if np.abs(target.sum(axis=1) - 1).max() > 1e-6:
        raise ValueError("target probabilities must sum to 1 in every round.")


@dataclass(frozen=True)
class Overlap:
    """How well logged rounds cover a target policy (rule R11).

    effective_size: (Σw)²/Σw², in rounds. max_weight: largest weight. max_share: its share of all weight.
    mean_weight should be 1 within 3 of its standard errors, or propensities are wrong. rarer_outcomes: the
    rarer of rewarded and unrewarded rounds with weight, which limits what any interval can know.
    """

    rounds: int
    effective_size: float
    max_weight: float
    max_share: float
    mean_weight: float
    mean_weight_error: float
    rarer_outcomes: int


def overlap(batch: MaturedBatch, target: NDArray[np.float64]) -> Overlap:
    """Measures how well a batch covers a target policy, target (round, action)."""
    weight = importance_weights(batch.logged, target)
    total = float(weight.sum())
    carried = weight > 0
    rewarded = int((batch.reward[carried] > 0).sum())
    return Overlap(
        rounds=len(batch),
        effective_size=total**2 / float(np.square(weight).sum()) if total else 0.0,
        max_weight=float(weight.max()),
        max_share=float(weight.max()) / total if total else 1.0,
        mean_weight=float(weight.mean()),
        mean_weight_error=float(weight.std(ddof=1) / np.sqrt(len(weight))),
        rarer_outcomes=min(rewarded, int(carried.sum()) - rewarded),
    )
