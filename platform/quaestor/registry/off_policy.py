"""Evaluates a candidate against the incumbent on the same logged rounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import LoggedBatch, MaturedBatch
from quaestor.ope.diagnosis import Diagnosis
from quaestor.ope.diagnostics import diagnose
from quaestor.ope.estimators import ESTIMATORS, WITHIN
from quaestor.ope.interval import Interval, normal_interval
from quaestor.ope.protocol import Estimator, paired_difference
from quaestor.ope.stratified import Stratified, strata_of_action_set, strata_of_feature
from quaestor.ope.target_rounds import TargetRounds, target_rounds
from quaestor.ope.weights import overlap_of
from quaestor.registry.evaluation import Evaluation


@dataclass(frozen=True)
class Method:
    """What decides: an estimator by name, and the category feature within whose levels it estimates, if any;
    "actions" for the sets of eligible actions."""

    estimator: str = "dr"
    within: str | None = None

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise ValueError(f"no estimator {self.estimator!r}; known: {', '.join(ESTIMATORS)}.")

    @property
    def title(self) -> str:
        """What the evaluation calls it."""
        return ESTIMATORS[self.estimator].title + (f"{WITHIN}{self.within}" if self.within else "")

    def on(self, logged: LoggedBatch) -> Estimator:
        """The estimator for these rounds; raises ValueError for a feature that the log does not have."""
        plain = ESTIMATORS[self.estimator].estimator
        if self.within is None:
            return plain
        by_actions = self.within == ACTION_SETS
        return Stratified(plain, strata_of_action_set(logged) if by_actions else strata_of_feature(logged, self.within))


ACTION_SETS = "actions"
DOUBLY_ROBUST = Method()
BESIDE = ("dr", "ips", "snips", "sndr", "dm", "switch-dr", "dros", "cab")
"""Estimators whose differences are shown beside the one that decides."""


def evaluate_off_policy(
    batch: MaturedBatch,
    candidate: NDArray[np.float64],
    incumbent: NDArray[np.float64],
    predicted: NDArray[np.float64],
    incumbent_id: str,
    confidence: float = 0.95,
    further: tuple[Diagnosis, ...] = (),
    method: Method = DOUBLY_ROBUST,
) -> Evaluation:
    """Values and their paired difference by one method, with other estimators beside them (rule R11).

    candidate and incumbent (round, action) are probabilities; predicted (round, action) rewards come from an
    oracle fitted on other rounds. further: checks that need more than the rounds.
    """
    new, old = target_rounds(batch, candidate, predicted), target_rounds(batch, incumbent, predicted)
    estimator = method.on(batch.logged)
    days = batch.logged.decided_at.dt.date()
    return Evaluation(
        quantity="reward",
        unit="reward a round",
        estimator=method.title,
        evaluated_on=f"{len(batch):,} held-out rounds of {days.min()!s} to {days.max()!s}",
        incumbent_id=incumbent_id,
        pairs=len(batch),
        candidate=normal_interval(estimator(new), confidence),
        incumbent=normal_interval(estimator(old), confidence),
        difference=normal_interval(paired_difference(estimator, new, old), confidence),
        others=_beside(method.estimator, new, old, confidence),
        overlap=overlap_of(new),
        incumbent_overlap=overlap_of(old),
        diagnostics=diagnose(batch) + further,
    )


def _beside(deciding: str, new: TargetRounds, old: TargetRounds, confidence: float) -> dict[str, Interval]:
    found = {}
    for name in BESIDE:
        known = ESTIMATORS[name]
        if (
            name == deciding
            or (known.needs_logging and new.logging is None)
            or not (new.weight.any() and old.weight.any())
        ):
            continue
        found[known.title] = normal_interval(paired_difference(known.estimator, new, old), confidence)
    return found
