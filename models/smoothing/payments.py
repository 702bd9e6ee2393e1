"""Episodes of a smoothed payments policy: one episode is a run of payments replayed from the log."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quaestor.export.encoding import Encoded
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.randomness import generator

PAYMENTS_AT_ONCE = 100_000
"""Payments played together; part of how noise is drawn."""


@dataclass(frozen=True)
class Replay:
    """What an episode is drawn from: contexts (round), eligible (round, action) and the modelled probability of
    success of each action (round, action)."""

    contexts: Encoded
    eligible: NDArray[np.bool_]
    success: NDArray[np.float64]

    def rows(self, index: NDArray[np.int64]) -> Replay:
        """The rounds at these positions, repeats allowed."""
        return Replay(self.contexts.rows(index), self.eligible[index], self.success[index])


class PaymentsAttack(Protocol):
    """An adversary on what is seen of payments."""

    def __call__(self, policy: PaymentsPolicy, replay: Replay, payments: int) -> NDArray[np.float64]:
        """The shift of each number, (round, numeric feature) in spreads, for whole episodes of `payments` rounds."""


def episode_rewards(
    policy: PaymentsPolicy,
    replay: Replay,
    payments: int,
    episodes: int,
    seed: int,
    attack: PaymentsAttack | None = None,
    smoothed: bool = True,
    draws: int = 1,
    first: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """Mean expected reward a payment of each episode, (episode,).

    Payments are drawn with replacement from the replay; `draws` consecutive episodes share theirs, a trace. The
    policy sees each payment with fresh noise (none unless `smoothed`); its reward is the sum over actions of
    probability × success, the mean over the draw of the action and the outcome. Under any attack that adapts to
    past actions and outcomes the mean is the same, because each step's expectation is, so that certifying it
    certifies the mean reward itself, without paying for chance that no attack can move. The noise of episode n is a
    function of seed and n.
    """
    width = len(policy.spec.features.numeric)
    spread = np.array([feature.spread for feature in policy.spec.features.numeric], dtype=np.float32)
    together = max(1, PAYMENTS_AT_ONCE // (payments * draws)) * draws
    chunks = range(first // together, (first + episodes - 1) // together + 1)

    def play(chunk: int) -> NDArray[np.float64]:
        chance = generator(seed, "payments episodes", chunk)
        trace = chance.integers(0, len(replay.contexts), (together // draws, payments))
        seen = replay.rows(np.repeat(trace, draws, axis=0).ravel())
        noise = chance.standard_normal((together * payments, width), dtype=np.float32)
        if not smoothed:
            noise[:] = 0
        contexts = seen.contexts
        if attack is not None:
            shift = (attack(policy, seen, payments) * spread).astype(np.float32)
            contexts = Encoded(contexts.numeric + shift, contexts.category)
        probabilities = policy.probabilities(contexts, seen.eligible, noise)
        rewards = np.einsum("ra,ra->r", probabilities, seen.success).reshape(together, payments).mean(axis=1)
        start, end = max(first - chunk * together, 0), min(first + episodes - chunk * together, together)
        if on_progress is not None:
            on_progress(end - start)
        return np.asarray(rewards[start:end])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.concatenate(list(pool.map(play, chunks)))


@dataclass(frozen=True)
class Bias:
    """The whole budget as one constant shift: direction (numeric feature,), of length 1."""

    direction: NDArray[np.float64]
    budget: float

    def __call__(self, policy: PaymentsPolicy, replay: Replay, payments: int) -> NDArray[np.float64]:
        """The same shift for every payment, (round, numeric feature)."""
        step = self.direction * (self.budget / payments**0.5)
        return np.broadcast_to(step, (len(replay.contexts), len(step)))


@dataclass(frozen=True)
class Steepest:
    """The gradient of the smoothed expected reward of each payment, with the whole budget spread over the payments
    of an episode in proportion to it: what a linear reward loses most by.

    It knows the payments of the whole episode. Past noise and actions tell it nothing more, since they do not move
    what comes next: for payments the adaptive attack is this one. samples: draws of noise that the gradient is
    averaged over; noise in scales of `noise_scale`.
    """

    budget: float
    noise_scale: float
    samples: int = 2
    seed: int = 0

    def __call__(self, policy: PaymentsPolicy, replay: Replay, payments: int) -> NDArray[np.float64]:
        """The shift, (round, numeric feature), in spreads."""
        width = len(policy.spec.features.numeric)
        spread = np.array([feature.spread for feature in policy.spec.features.numeric], dtype=np.float32)
        step = 0.5 * self.noise_scale
        gradient = np.zeros((len(replay.contexts), width))
        for sample in range(self.samples):
            noise = generator(self.seed, "steepest", sample).standard_normal(gradient.shape, dtype=np.float32)
            for feature in range(width):
                for sign in (1.0, -1.0):
                    numeric = replay.contexts.numeric.copy()
                    numeric[:, feature] += sign * step * spread[feature]
                    seen = Encoded(numeric, replay.contexts.category)
                    probabilities = policy.probabilities(seen, replay.eligible, noise)
                    gradient[:, feature] += sign * np.einsum("ra,ra->r", probabilities, replay.success)
        whole = gradient.reshape(len(gradient) // payments, payments * width)
        length = np.sqrt(np.square(whole).sum(axis=1))
        scaled = whole / np.maximum(length, 1e-30)[:, None]
        return -self.budget * scaled.reshape(gradient.shape)


def biases(features: int, budget: float, tries: int, seed: int) -> dict[str, PaymentsAttack]:
    """Constant biases: each number up or down, and random directions over all of them."""
    axes = np.concatenate((np.eye(features), -np.eye(features)))
    random = generator(seed, "random attacks").standard_normal((tries, features))
    random /= np.maximum(np.linalg.norm(random, axis=1, keepdims=True), 1e-30)
    named: dict[str, PaymentsAttack] = {}
    for number, direction in enumerate(axes):
        word = "up" if number < features else "down"
        named[f"number {number % features + 1} {word}"] = Bias(direction, budget)
    for number, direction in enumerate(random):
        named[f"random direction {number + 1}"] = Bias(direction, budget)
    return named
