"""Episodes of a smoothed payments policy: one episode is a run of payments replayed from the log."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from quaestor.export.encoding import Encoded
from quaestor.export.payments_policy import PaymentsPolicy, draw
from quaestor.randomness import generator

PAYMENTS_AT_ONCE = 100_000


def episode_rewards(
    policy: PaymentsPolicy,
    contexts: Encoded,
    eligible: NDArray[np.bool_],
    success: NDArray[np.float64],
    payments: int,
    episodes: int,
    seed: int,
    shift: NDArray[np.float64] | None = None,
    smoothed: bool = True,
    on_progress: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """Mean reward a payment of each episode, (episode,).

    Payments are drawn with replacement from contexts and eligible (round, …); the policy sees each with fresh
    noise (none unless `smoothed`), an action is drawn, and it succeeds with success (round, action). shift
    (numeric feature,), in spreads, is what an attack adds to what is seen of every payment.
    """
    features = policy.spec.features.numeric
    spread = np.array([feature.spread for feature in features], dtype=np.float32)
    bias = np.zeros(len(features), dtype=np.float32) if shift is None else (shift * spread).astype(np.float32)
    together = max(1, PAYMENTS_AT_ONCE // payments)
    values = np.empty(episodes)
    for first in range(0, episodes, together):
        count = min(together, episodes - first)
        chance = generator(seed, "payments episodes", first)
        rows = chance.integers(0, len(contexts), count * payments)
        noise = chance.standard_normal((len(rows), len(features)), dtype=np.float32)
        picks, outcomes = chance.random(len(rows)), chance.random(len(rows))
        seen = Encoded(contexts.numeric[rows] + bias, contexts.category[rows])
        probabilities = policy.probabilities(seen, eligible[rows], noise if smoothed else np.zeros_like(noise))
        action = draw(probabilities, picks)
        reward = outcomes < success[rows, action]
        values[first : first + count] = reward.reshape(count, payments).mean(axis=1)
        if on_progress is not None:
            on_progress(count)
    return values


def biases(features: int, budget: float, payments: int) -> NDArray[np.float64]:
    """Attacks (attack, numeric feature), in spreads, that use the whole budget as one constant bias.

    Each moves one numeric feature up or down in every payment; the total ℓ2 size over an episode is `budget`.
    """
    directions = np.concatenate((np.eye(features), -np.eye(features)))
    return directions * (budget / payments**0.5)
