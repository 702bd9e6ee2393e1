"""Compares two payments policies on the same held-out rounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.payments.alignment import in_log_order, in_policy_order
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.log.batch import LoggedBatch, MaturedBatch
from quaestor.ope.estimators import ESTIMATORS
from quaestor.ope.interval import normal_interval
from quaestor.ope.weights import overlap
from quaestor.registry.evaluation import Evaluation


def target_probabilities(policy: PaymentsPolicy, logged: LoggedBatch) -> NDArray[np.float64]:
    """What the policy would have done in each logged round, (round, action) in the batch's actions.

    Each event gets the noise that the policy itself would have drawn. Actions that the policy does not know
    get probability 0; where it knows none of the eligible ones, the first eligible action would be taken.
    """
    eligible = in_policy_order(policy, logged, logged.eligible).astype(np.bool_)
    lost = ~eligible.any(axis=1)
    eligible[lost] = True
    noise = policy.noise(policy.keys(logged.event_ids.to_list()))
    own = policy.probabilities(policy.encode(logged.context), eligible, noise)
    target = in_log_order(policy, logged, own, unknown=0.0)
    target[lost] = np.eye(len(logged.actions))[logged.eligible[lost].argmax(axis=1)]
    return target


def predicted_rewards(policy: PaymentsPolicy, batch: MaturedBatch) -> NDArray[np.float64]:
    """What the policy's oracle predicts, (round, action) in the batch's actions; the mean reward where it knows
    an action not."""
    scores = policy.scores(policy.encode(batch.logged.context))
    return in_log_order(policy, batch.logged, scores, unknown=float(batch.reward.mean()))


def evaluate(
    batch: MaturedBatch,
    candidate: NDArray[np.float64],
    incumbent: NDArray[np.float64],
    predicted: NDArray[np.float64],
    incumbent_id: str,
    confidence: float,
) -> Evaluation:
    """Doubly robust values and their paired difference, with IPS and SNIPS beside them (rule R11).

    candidate and incumbent (round, action) are probabilities; predicted (round, action) rewards come from an
    oracle fitted on other rounds.
    """
    first, second = (ESTIMATORS["dr"](batch, target, predicted) for target in (candidate, incumbent))
    others = {
        name: normal_interval(ESTIMATORS[name](batch, candidate).minus(ESTIMATORS[name](batch, incumbent)), confidence)
        for name in ("ips", "snips")
    }
    days = batch.logged.decided_at.dt.date()
    return Evaluation(
        quantity="reward",
        unit="reward a round",
        estimator="doubly robust",
        evaluated_on=f"{len(batch):,} held-out rounds of {days.min()!s} to {days.max()!s}",
        incumbent_id=incumbent_id,
        pairs=len(batch),
        candidate=normal_interval(first, confidence),
        incumbent=normal_interval(second, confidence),
        difference=normal_interval(first.minus(second), confidence),
        others=others,
        overlap=overlap(batch, candidate),
        incumbent_overlap=overlap(batch, incumbent),
    )
