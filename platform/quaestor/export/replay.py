"""What a payments policy would have done in logged rounds, whatever order each keeps its actions in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.log.batch import LoggedBatch, MaturedBatch


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


def in_policy_order(policy: PaymentsPolicy, logged: LoggedBatch, values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Values (round, action of the log) as (round, action of the policy); 0 for actions the log does not have."""
    ordered = np.zeros((len(values), len(policy.spec.actions)), dtype=values.dtype)
    for column, name in enumerate(policy.spec.actions):
        if name in logged.actions:
            ordered[:, column] = values[:, logged.actions.index(name)]
    return ordered


def in_log_order(
    policy: PaymentsPolicy, logged: LoggedBatch, values: NDArray[np.float64], unknown: float
) -> NDArray[np.float64]:
    """Values (round, action of the policy) as (round, action of the log); `unknown` for actions that the policy
    does not know."""
    ordered = np.full((len(values), len(logged.actions)), unknown)
    for column, name in enumerate(logged.actions):
        if name in policy.spec.actions:
            ordered[:, column] = values[:, policy.spec.actions.index(name)]
    return ordered
