"""Matured batches with known truth, for estimators and learners."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.log.batch import LoggedBatch, MaturedBatch


@dataclass(frozen=True)
class Bandit:
    """A batch, the true reward probabilities (round, action) behind it, and logging probabilities."""

    batch: MaturedBatch
    truth: NDArray[np.float64]
    logging: NDArray[np.float64]


def bandit(rounds: int, seed: int, actions: int = 4, sharpness: float = 1.0) -> Bandit:
    """Rounds of a logged bandit with one numeric and one category feature; about one action in five not eligible."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=rounds)
    level = draw.integers(0, 3, rounds)
    # The world is the same for every seed; only what is drawn from it differs.
    fixed = np.random.default_rng(99)
    slope, bump = fixed.normal(0, 0.8, actions), fixed.normal(0, 0.6, (3, actions))
    truth = 1 / (1 + np.exp(-(0.2 + x[:, None] * slope + bump[level])))
    eligible = draw.random((rounds, actions)) < 0.8
    eligible[np.arange(rounds), draw.integers(0, actions, rounds)] = True
    score = np.where(eligible, np.exp(sharpness * fixed.normal(size=actions))[None] * np.ones((rounds, 1)), 0.0)
    logging = score / score.sum(axis=1, keepdims=True)
    action = (logging.cumsum(axis=1) < draw.random(rounds)[:, None]).sum(axis=1).clip(max=actions - 1)
    action = np.where(eligible[np.arange(rounds), action], action, eligible.argmax(axis=1))
    reward = (draw.random(rounds) < truth[np.arange(rounds), action]).astype(np.float64)
    logged = LoggedBatch(
        system="bandit",
        actions=tuple(f"a{k}" for k in range(actions)),
        event_ids=pl.Series([f"{seed}-{n}" for n in range(rounds)]),
        decided_at=pl.Series(np.arange(rounds) * 1_000_000).cast(pl.Datetime("us")),
        context=pl.DataFrame({"numeric_x": x, "category_level": [f"L{k}" for k in level]}),
        eligible=eligible,
        action=action,
        propensity=logging[np.arange(rounds), action],
        iteration_ids=pl.Series(["logger"] * rounds),
        probabilities=logging,
    )
    return Bandit(MaturedBatch(logged, reward, np.zeros(rounds, dtype=np.bool_)), truth, logging)


def greedy(truth: NDArray[np.float64], eligible: NDArray[np.bool_], epsilon: float = 0.1) -> NDArray[np.float64]:
    """The ε-greedy policy of known truth, (round, action)."""
    best = np.eye(truth.shape[1])[np.where(eligible, truth, -1).argmax(axis=1)]
    return (1 - epsilon) * best + epsilon * eligible / eligible.sum(axis=1, keepdims=True)
