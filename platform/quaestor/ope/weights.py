"""Importance weights, and whether they can carry an estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import LoggedBatch, MaturedBatch
from quaestor.ope.weight_histogram import WeightHistogram, weight_histogram

if TYPE_CHECKING:
    from quaestor.ope.target_rounds import TargetRounds


def importance_weights(logged: LoggedBatch, target: NDArray[np.float64]) -> NDArray[np.float64]:
    """π(a|x) / propensity of the action taken, (round,); target (round, action) are the policy's probabilities.

    Raises ValueError when target is not a distribution over the eligible actions of each round.
    """
    check_target(logged, target)
    return taken(target, logged.action) / logged.propensity


def taken(values: NDArray[np.float64], action: NDArray[np.int64]) -> NDArray[np.float64]:
    """The value of the action taken in each round, (round,), out of (round, action)."""
    return np.take_along_axis(values, action[:, None], axis=1)[:, 0]


def check_target(logged: LoggedBatch, target: NDArray[np.float64]) -> None:
    """Raises ValueError when target (round, action) is not a distribution over each round's eligible actions."""
    check_shape(logged, target)
    check_probabilities(target, logged.eligible)


def check_shape(logged: LoggedBatch, target: NDArray[np.float64]) -> None:
    """Raises ValueError when target is not (round, action)."""
    if target.shape != logged.eligible.shape:
        raise ValueError(f"target must be {logged.eligible.shape} (round, action), found {target.shape}.")


def check_probabilities(target: NDArray[np.float64], eligible: NDArray[np.bool_]) -> None:
    """Raises ValueError when target (round, action) is not a distribution over what is eligible (round, action)."""
    # NaN fails every comparison, and an infinite probability fails the sum.
    proper = bool(target.min(initial=0.0) >= 0)
    if not proper or (not eligible.all() and ((target > 0) & ~eligible).any()):
        raise ValueError("target probabilities must be finite, 0 or more, and 0 for actions that are not eligible.")
    if not np.abs(target @ np.ones(target.shape[1]) - 1).max(initial=0.0) <= 1e-6:
        raise ValueError("target probabilities must sum to 1 in every round.")


@dataclass(frozen=True)
class Overlap:
    """How well logged rounds cover a target policy (rule R11).

    effective_size: (Σw)²/Σw², in rounds. max_weight: largest weight. max_share: its share of all weight.
    mean_weight should be 1 within 3 of its standard errors, or propensities are wrong. rarer_outcomes: the
    rarer of rewarded and unrewarded rounds with weight, which limits what any interval can know.
    unsupported_mass: the share of the policy's decisions that the log cannot speak for, see `unsupported_mass`.
    histogram: of the weights, for a chart.
    """

    rounds: int
    effective_size: float
    max_weight: float
    max_share: float
    mean_weight: float
    mean_weight_error: float
    rarer_outcomes: int
    unsupported_mass: float = 0.0
    histogram: WeightHistogram | None = None


def overlap(batch: MaturedBatch, target: NDArray[np.float64]) -> Overlap:
    """Measures how well a batch covers a target policy, target (round, action)."""
    return _overlap(batch, target, importance_weights(batch.logged, target))


def overlap_of(rounds: TargetRounds) -> Overlap:
    """The same of rounds that were seen from a target policy already."""
    return _overlap(rounds.batch, rounds.target, rounds.weight)


def on_policy_overlap(batch: MaturedBatch) -> Overlap:
    """The same for the policy that made the log, whose every weight is 1."""
    rewarded, rounds = int((batch.reward > 0).sum()), len(batch)
    rarer = min(rewarded, int((batch.reward < 1).sum()))
    return Overlap(rounds, float(rounds), 1.0, 1 / rounds, 1.0, 0.0, rarer)


def unsupported_mass(batch: MaturedBatch, target: NDArray[np.float64]) -> float:
    """The mean probability, over rounds, of actions that the log could not have taken there.

    Those are actions of logged probability 0 where the log holds the probabilities of every action; otherwise
    the actions that it never took in any round, which is the least that can be said.
    """
    logged = batch.logged
    if logged.probabilities is not None:
        return float(np.where(logged.probabilities > 0, 0.0, target).sum() / len(batch))
    never = np.bincount(logged.action, minlength=len(logged.actions)) == 0
    return float(target[:, never].sum() / len(batch)) if never.any() else 0.0


def _overlap(batch: MaturedBatch, target: NDArray[np.float64], weight: NDArray[np.float64]) -> Overlap:
    total = float(weight.sum())
    carried = weight > 0
    rewarded = int((batch.reward[carried] > 0).sum())
    unrewarded = int((batch.reward[carried] < 1).sum())
    return Overlap(
        rounds=len(batch),
        effective_size=total**2 / float(np.square(weight).sum()) if total else 0.0,
        max_weight=float(weight.max()),
        max_share=float(weight.max()) / total if total else 1.0,
        mean_weight=float(weight.mean()),
        mean_weight_error=float(weight.std(ddof=1) / np.sqrt(len(weight))) if len(weight) > 1 else float("inf"),
        rarer_outcomes=min(rewarded, unrewarded),
        unsupported_mass=unsupported_mass(batch, target),
        histogram=weight_histogram(weight),
    )
