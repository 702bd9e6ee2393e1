"""Matches the actions of a log with those that a policy knows, by name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.log.batch import LoggedBatch


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
