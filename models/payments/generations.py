"""Generations in the payments world: deploy, log, wait for feedback, refit, gate, deploy again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.payments.alarms import AlarmParams, generation_health, negative_rates
from models.payments.deploy import deploy, in_world_order
from models.payments.memory import Memory, fitting_memory
from models.payments.refit import Refit, RefitParams, refit_on
from models.payments.windows import Window, window
from models.payments.world import Payments, PaymentsWorld, decision_log
from quaestor.export.payments_policy import PaymentsPolicy, draw
from quaestor.export.replay import predicted_rewards, target_probabilities
from quaestor.log.batch import LoggedBatch, MaturedBatch
from quaestor.log.maturity import MaturityParams, judge, matured_batch
from quaestor.ope.greedy import best_eligible
from quaestor.randomness import event_keys, uniforms
from quaestor.registry.off_policy import evaluate_off_policy

SYSTEM = "payments-world"
FRESH = 20_000
LEAST_SHARE = 0.02
"""A policy that decides less than this of the traffic is withdrawn."""


@dataclass(frozen=True)
class GenerationParams:
    """generations of `rounds` payments each; memory: how many past generations a refit learns from at most.

    adaptive: where payments have changed, what changed is learned from the rounds since, or older ones are forgotten,
    as predicts the newest best. told: the first generation whose payments are not what they were, as a refit that need
    not find out knows it: a yardstick. warm: a refit starts from its parent. gate: a candidate that held-out rounds
    show to be clearly worse is not deployed. trust: the largest share of decisions that one generation may change; a
    candidate that changes more decides only part of the traffic.
    """

    refit: RefitParams
    maturity: MaturityParams
    generations: int = 6
    rounds: int = 40_000
    memory: int = 2
    noise_scale: float = 0.1
    adaptive: bool = False
    told: int | None = None
    warm: bool = False
    gate: bool = False
    trust: float | None = None

    def __post_init__(self) -> None:
        if min(self.generations, self.rounds, self.memory) < 1:
            raise ValueError("generations, rounds and memory must be 1 or more.")
        if self.told is not None and self.told < 2:
            raise ValueError(f"told must be 2 or more, found {self.told}: nothing comes before the first generation.")
        if self.trust is not None and not 0 < self.trust <= 1:
            raise ValueError(f"trust must be in (0, 1], found {self.trust}.")


@dataclass(frozen=True)
class Generation:
    """One generation: where the true value of what is deployed after it lies between uniform (0) and optimal (1), on
    fresh payments, with exploration and noise, and that of its oracle's greedy choices. memory: windows that taught
    it; recent: those of them after a change. promoted: whether the gate let it decide. alarms: the signs of rule R10,
    as sentences."""

    number: int
    deployed_share: float
    greedy_share: float
    memory: int
    recent: int
    promoted: bool
    alarms: tuple[str, ...]


@dataclass(frozen=True)
class Deployed:
    """Policies that share the traffic, each with its part of it; a payment always meets the same one."""

    policies: tuple[tuple[float, PaymentsPolicy], ...] = ()

    def decide(self, payments: Payments) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Probabilities (round, action) and actions (round,) in the world's order; uniform where none is deployed."""
        keys = event_keys("traffic", SYSTEM, payments.event_ids)
        if not self.policies:
            probabilities = payments.eligible / payments.eligible.sum(axis=1, keepdims=True)
            return probabilities, draw(probabilities, uniforms(keys, 1)[:, 0])
        place = uniforms(keys, 1, stream=2)[:, 0]
        bounds = np.cumsum([share for share, _ in self.policies])
        turn = np.minimum(np.searchsorted(bounds, place, side="right"), len(bounds) - 1)
        choices = [deploy(policy, payments) for _, policy in self.policies]
        rounds = np.arange(len(payments))
        return (
            np.stack([choice.probabilities for choice in choices])[turn, rounds],
            np.stack([choice.action for choice in choices])[turn, rounds],
        )

    def target(self, logged: LoggedBatch) -> NDArray[np.float64]:
        """What all of them together would have done in logged rounds, (round, action)."""
        if not self.policies:
            return np.asarray(logged.eligible / logged.eligible.sum(axis=1, keepdims=True))
        return np.asarray(sum(share * target_probabilities(policy, logged) for share, policy in self.policies))

    def joined_by(self, policy: PaymentsPolicy, share: float) -> Deployed:
        """The same with a newcomer that takes over a share of the traffic from everyone."""
        kept = [(old * (1 - share), other) for old, other in self.policies if old * (1 - share) >= LEAST_SHARE]
        total = share + sum(part for part, _ in kept)
        return Deployed(tuple((part / total, other) for part, other in [*kept, (share, policy)]))


def play(world: PaymentsWorld, params: GenerationParams, alarms: AlarmParams | None = None) -> Iterator[Generation]:
    """Plays generations that start from uniform exploration."""
    deployed, parent, memory = Deployed(), None, Memory(0)
    windows: list[Window] = []
    for number in range(1, params.generations + 1):
        newest = window(_log(world, params, deployed, number - 1), params.refit.held_out)
        windows = [*windows, newest][-max(params.memory, 2) :]
        kept = min(number, params.memory)
        if params.told is not None and number >= params.told:
            since = number - params.told + 1
            memory = Memory(kept, since if since < kept else 0)
        elif params.adaptive:
            memory = fitting_memory(windows, memory, params.memory, params.refit)
        else:
            memory = Memory(kept)
        fitted = refit_on(
            memory.taught(windows),
            params.refit,
            params.noise_scale,
            f"generation {number}",
            parent if params.warm else None,
            memory.changed_at(windows),
        )
        parent = fitted
        policy = PaymentsPolicy(fitted.graph, fitted.spec)
        judged = newest.judged
        new, old = target_probabilities(policy, judged.logged), deployed.target(judged.logged)
        health = generation_health(judged.logged, new, old, negative_rates([each.batch for each in windows]))
        promoted = not (params.gate and _clearly_worse(policy, judged, new, old))
        if promoted:
            deployed = deployed.joined_by(policy, _share(judged.logged, new, old, params.trust, deployed))
        fresh = world.payments(FRESH, number * params.rounds, "fresh")
        yield Generation(
            number=number,
            deployed_share=world.share_of_gap(fresh, deployed.decide(fresh)[0]),
            greedy_share=world.share_of_gap(fresh, _greedy(fitted, policy, fresh)),
            memory=memory.windows,
            recent=memory.recent,
            promoted=promoted,
            alarms=health.alarms(alarms or AlarmParams()),
        )


def _log(world: PaymentsWorld, params: GenerationParams, deployed: Deployed, number: int) -> MaturedBatch:
    payments = world.payments(params.rounds, number * params.rounds, "generations")
    probabilities, action = deployed.decide(payments)
    decisions = decision_log(payments, probabilities, action, SYSTEM, f"generation {number}").with_columns(
        pl.col("decided_at").dt.replace_time_zone(None), fallback=pl.lit(False)
    )
    outcomes = world.outcomes(payments, action, SYSTEM).with_columns(
        pl.col("observed_at").dt.replace_time_zone(None), revision=pl.lit(0)
    )
    window = timedelta(hours=params.maturity.attribution_hours)
    as_of = payments.decided_at.max() + window  # type: ignore[operator]
    return matured_batch(judge(decisions, outcomes, params.maturity, as_of))  # type: ignore[arg-type]


def _clearly_worse(
    policy: PaymentsPolicy, judged: MaturedBatch, new: NDArray[np.float64], old: NDArray[np.float64]
) -> bool:
    evaluation = evaluate_off_policy(judged, new, old, predicted_rewards(policy, judged), "deployed")
    return evaluation.difference.upper < 0


def _share(
    logged: LoggedBatch, new: NDArray[np.float64], old: NDArray[np.float64], trust: float | None, deployed: Deployed
) -> float:
    """How much of the traffic a newcomer gets so that no more decisions change than are trusted to."""
    if trust is None or not deployed.policies:
        return 1.0
    changed = 1 - float((best_eligible(new, logged.eligible) * best_eligible(old, logged.eligible)).sum(axis=1).mean())
    return min(1.0, trust / max(changed, 1e-9))


def _greedy(fitted: Refit, policy: PaymentsPolicy, payments: Payments) -> NDArray[np.float64]:
    scores = fitted.oracle.predict(policy.encode(payments.context()))
    return best_eligible(in_world_order(policy, scores), payments.eligible)
