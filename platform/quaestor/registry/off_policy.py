"""Evaluates a candidate against the incumbent on the same logged rounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import MaturedBatch
from quaestor.ope.diagnosis import Diagnosis
from quaestor.ope.diagnostics import diagnose
from quaestor.ope.estimators import ESTIMATORS
from quaestor.ope.interval import Interval, normal_interval
from quaestor.ope.protocol import paired_difference
from quaestor.ope.target_rounds import TargetRounds, target_rounds
from quaestor.ope.weights import overlap_of
from quaestor.registry.evaluation import Evaluation

BESIDE = ("ips", "snips", "sndr", "dm", "switch-dr", "dros", "cab")
"""Estimators whose differences are shown beside the one that decides."""


def evaluate_off_policy(
    batch: MaturedBatch,
    candidate: NDArray[np.float64],
    incumbent: NDArray[np.float64],
    predicted: NDArray[np.float64],
    incumbent_id: str,
    confidence: float = 0.95,
    further: tuple[Diagnosis, ...] = (),
) -> Evaluation:
    """Doubly robust values and their paired difference, with other estimators beside them (rule R11).

    candidate and incumbent (round, action) are probabilities; predicted (round, action) rewards come from an
    oracle fitted on other rounds. further: checks that need more than the rounds.
    """
    new, old = target_rounds(batch, candidate, predicted), target_rounds(batch, incumbent, predicted)
    deciding = ESTIMATORS["dr"]
    days = batch.logged.decided_at.dt.date()
    return Evaluation(
        quantity="reward",
        unit="reward a round",
        estimator=deciding.title,
        evaluated_on=f"{len(batch):,} held-out rounds of {days.min()!s} to {days.max()!s}",
        incumbent_id=incumbent_id,
        pairs=len(batch),
        candidate=normal_interval(deciding.estimator(new), confidence),
        incumbent=normal_interval(deciding.estimator(old), confidence),
        difference=normal_interval(paired_difference(deciding.estimator, new, old), confidence),
        others=_beside(new, old, confidence),
        overlap=overlap_of(new),
        incumbent_overlap=overlap_of(old),
        diagnostics=diagnose(batch) + further,
    )


def _beside(new: TargetRounds, old: TargetRounds, confidence: float) -> dict[str, Interval]:
    found = {}
    for name in BESIDE:
        known = ESTIMATORS[name]
        if (known.needs_logging and new.logging is None) or not (new.weight.any() and old.weight.any()):
            continue
        found[known.title] = normal_interval(paired_difference(known.estimator, new, old), confidence)
    return found
