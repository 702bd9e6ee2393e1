"""A bandit of finitely many contexts, so that the value of every policy is a sum and not a sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.log.batch import LoggedBatch, MaturedBatch

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DiscreteWorld:
    """share (context,): how often each comes. truth and logging (context, action): the probability of a reward and
    of logging the action. features (context, feature): what a reward model sees, which is not enough."""

    share: Array
    truth: Array
    logging: Array
    features: Array

    def value(self, policy: Array) -> float:
        """The true value of a policy, (context, action)."""
        return float(self.share @ (policy * self.truth).sum(axis=1))

    def tilted(self, strength: float) -> Array:
        """A policy (context, action) that leans by `strength` towards actions of higher reward; 0 is uniform."""
        score = np.exp(strength * self.truth)
        return np.asarray(score / score.sum(axis=1, keepdims=True))

    def log(self, rounds: int, seed: int) -> tuple[MaturedBatch, NDArray[np.int64]]:
        """Logged rounds with their rewards, and the context of each, (round,)."""
        draw = np.random.default_rng([seed, 7])
        context = draw.choice(len(self.share), rounds, p=self.share)
        logging = self.logging[context]
        passed = (logging.cumsum(axis=1) < draw.random(rounds)[:, None]).sum(axis=1)
        action = passed.clip(max=logging.shape[1] - 1)
        reward = (draw.random(rounds) < self.truth[context, action]).astype(np.float64)
        features = {f"numeric_{k}": self.features[context, k] for k in range(self.features.shape[1])}
        logged = LoggedBatch(
            system="discrete",
            actions=tuple(f"a{k}" for k in range(logging.shape[1])),
            event_ids=pl.Series(np.arange(rounds)).cast(pl.String),
            decided_at=pl.Series(np.arange(rounds) * 1_000_000).cast(pl.Datetime("us")),
            context=pl.DataFrame(features),
            eligible=np.ones(logging.shape, dtype=np.bool_),
            action=action,
            propensity=logging[np.arange(rounds), action],
            iteration_ids=pl.Series(["logger"] * rounds),
            probabilities=logging,
        )
        return MaturedBatch(logged, reward, np.zeros(rounds, dtype=np.bool_)), context


def discrete_world(
    seed: int = 0, contexts: int = 60, actions: int = 5, level: float = -0.5, least: float = 0.02
) -> DiscreteWorld:
    """A world in which the logger prefers some actions for reasons that have to do with their rewards.

    level: the log-odds of a typical reward. least: the smallest logging probability.
    """
    draw = np.random.default_rng([seed, 3])
    features = draw.normal(size=(contexts, 3))
    odds = level + features @ draw.normal(0, 0.5, (3, actions)) + draw.normal(0, 0.8, (contexts, actions))
    truth = 1 / (1 + np.exp(-odds))
    liking = np.exp(0.5 * odds + draw.normal(0, 1.5, (contexts, actions)))
    liked = liking / liking.sum(axis=1, keepdims=True)
    share = draw.dirichlet(np.full(contexts, 5.0))
    return DiscreteWorld(share, truth, least + (1 - actions * least) * liked, features)
