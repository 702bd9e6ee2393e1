"""Generations in the payments world: deploy, log, wait for feedback, refit, deploy again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from models.payments.deploy import deploy, in_world_order
from models.payments.exploration.best import best_eligible
from models.payments.refit import Refit, RefitParams, refit
from models.payments.world import Payments, PaymentsWorld, decision_log
from quaestor.export.payments_policy import PaymentsPolicy, draw
from quaestor.log.batch import MaturedBatch
from quaestor.log.maturity import MaturityParams, judge, matured_batch
from quaestor.randomness import event_keys, uniforms

SYSTEM = "payments-world"


@dataclass(frozen=True)
class GenerationParams:
    """generations of `rounds` payments each; memory: how many past generations a refit learns from."""

    refit: RefitParams
    maturity: MaturityParams
    generations: int = 6
    rounds: int = 40_000
    memory: int = 2
    noise_scale: float = 0.1

    def __post_init__(self) -> None:
        if min(self.generations, self.rounds, self.memory) < 1:
            raise ValueError("generations, rounds and memory must be 1 or more.")


@dataclass(frozen=True)
class Generation:
    """One generation: where its policy's true value lies between uniform (0) and optimal (1), on fresh payments,
    as deployed with exploration and noise, and greedily."""

    number: int
    deployed_share: float
    greedy_share: float


def play(world: PaymentsWorld, params: GenerationParams) -> list[Generation]:
    """Plays generations that start from uniform exploration, each refitted on the last `memory` windows."""
    deployed: PaymentsPolicy | None = None
    windows: list[MaturedBatch] = []
    history = []
    for number in range(1, params.generations + 1):
        windows.append(_play_one(world, params, deployed, number - 1))
        pooled = pool(windows[-params.memory :])
        fitted = refit(pooled, params.refit, params.noise_scale, salt=f"generation {number}")
        deployed = PaymentsPolicy(fitted.graph, fitted.spec)
        fresh = world.payments(20_000, number * params.rounds, "fresh")
        history.append(Generation(number, *_shares(world, fresh, fitted, deployed)))
    return history


def pool(batches: list[MaturedBatch]) -> MaturedBatch:
    """Several batches of the same actions as one, each round with its own propensity."""
    first = batches[0].logged
    logged = type(first)(
        system=first.system,
        actions=first.actions,
        event_ids=pl.concat([b.logged.event_ids for b in batches]),
        decided_at=pl.concat([b.logged.decided_at for b in batches]),
        context=pl.concat([b.logged.context for b in batches]),
        eligible=np.concatenate([b.logged.eligible for b in batches]),
        action=np.concatenate([b.logged.action for b in batches]),
        propensity=np.concatenate([b.logged.propensity for b in batches]),
        iteration_ids=pl.concat([b.logged.iteration_ids for b in batches]),
    )
    return MaturedBatch(
        logged, np.concatenate([b.reward for b in batches]), np.concatenate([b.defaulted for b in batches])
    )


def _play_one(
    world: PaymentsWorld, params: GenerationParams, deployed: PaymentsPolicy | None, number: int
) -> MaturedBatch:
    payments = world.payments(params.rounds, number * params.rounds, "generations")
    if deployed is None:
        probabilities = payments.eligible / payments.eligible.sum(axis=1, keepdims=True)
        keys = event_keys("uniform", SYSTEM, payments.event_ids)
        action = draw(probabilities, uniforms(keys, 1)[:, 0])
    else:
        choice = deploy(deployed, payments)
        probabilities, action = choice.probabilities, choice.action
    decisions = decision_log(payments, probabilities, action, SYSTEM, f"generation {number}").with_columns(
        pl.col("decided_at").dt.replace_time_zone(None), fallback=pl.lit(False)
    )
    outcomes = world.outcomes(payments, action, SYSTEM).with_columns(
        pl.col("observed_at").dt.replace_time_zone(None), revision=pl.lit(0)
    )
    window = timedelta(hours=params.maturity.attribution_hours)
    as_of = payments.decided_at.max() + window  # type: ignore[operator]
    return matured_batch(judge(decisions, outcomes, params.maturity, as_of))  # type: ignore[arg-type]


def _shares(world: PaymentsWorld, payments: Payments, fitted: Refit, deployed: PaymentsPolicy) -> tuple[float, float]:
    scores = in_world_order(deployed, fitted.oracle.predict(deployed.encode(payments.context())))
    greedy = best_eligible(scores, payments.eligible)
    as_deployed = deploy(deployed, payments).probabilities
    return world.share_of_gap(payments, as_deployed), world.share_of_gap(payments, greedy)
