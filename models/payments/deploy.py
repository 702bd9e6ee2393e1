"""Lets a policy decide the world's payments, whatever order each of them keeps its actions in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.payments.world import ACTIONS, Payments
from quaestor.export.payments_policy import Choice, PaymentsPolicy


def deploy(policy: PaymentsPolicy, payments: Payments) -> Choice:
    """The policy's decisions, with probabilities (round, action) and actions in the world's order."""
    columns = [ACTIONS.index(action) for action in policy.spec.actions]
    choice = policy.choose(policy.encode(payments.context()), payments.eligible[:, columns], payments.event_ids)
    probabilities = np.zeros(payments.eligible.shape)
    probabilities[:, columns] = choice.probabilities
    return Choice(probabilities, np.array(columns)[choice.action], choice.fallback)


def in_world_order(policy: PaymentsPolicy, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values (round, action) of a policy's actions in the world's order; 0 for actions it does not know."""
    ordered = np.zeros((len(values), len(ACTIONS)))
    ordered[:, [ACTIONS.index(action) for action in policy.spec.actions]] = values
    return ordered
