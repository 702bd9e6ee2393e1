"""Rounds as a smoothed policy will see them: with the noise of its certificate on their numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.payments.oracles.oracle import TrainingSet
from quaestor.export.encoding import Encoded
from quaestor.randomness import generator


def with_noise(training: TrainingSet, noise_scale: float, copies: int, seed: int) -> TrainingSet:
    """Each round `copies` times, its numbers with noise of their own, noise_scale × spread × standard normal; together
    they weigh what the round weighed.

    An oracle that learns from them predicts the mean reward given what it sees, noise included, rather than given
    what is there: the regression that a policy under noise acts on (Bishop 1995, "Training with noise is equivalent
    to Tikhonov regularization").
    """
    rounds = np.tile(np.arange(len(training)), copies)
    spread = np.array([feature.spread for feature in training.features.numeric], dtype=np.float32)
    chance = generator(seed, "noisy rounds").standard_normal((len(rounds), len(spread)), dtype=np.float32)
    seen = training.contexts.rows(rounds)
    weight = np.ones(len(training)) if training.weight is None else training.weight
    return replace(
        training,
        contexts=Encoded(seen.numeric + np.float32(noise_scale) * spread * chance, seen.category),
        action=training.action[rounds],
        reward=training.reward[rounds],
        weight=weight[rounds] / copies,
        recent=None if training.recent is None else training.recent[rounds],
    )
