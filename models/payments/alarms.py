"""Signs that a new generation has gone astray (rule R10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import LoggedBatch, MaturedBatch


@dataclass(frozen=True)
class AlarmParams:
    """Limits: agreement is the probability that candidate and incumbent would decide alike; entropy is of the
    overall action mix, as a share of its maximum; least_propensity of any eligible action; negative_rate: how far the
    share of failures may have moved since the rounds before."""

    agreement: float = 0.1
    entropy: float = 0.05
    least_propensity: float = 1e-5
    negative_rate: float = 0.05

    def __post_init__(self) -> None:
        if not all(
            0 <= limit <= 1 for limit in (self.agreement, self.entropy, self.least_propensity, self.negative_rate)
        ):
            raise ValueError("alarm limits must be between 0 and 1.")


@dataclass(frozen=True)
class GenerationHealth:
    """The figures behind the alarms, and `action_mix`, the mean probability of each action. negative_rates: the
    share of failures in earlier rounds and in the newest, None where there are no earlier ones."""

    agreement: float
    entropy: float
    least_propensity: float
    action_mix: dict[str, float]
    negative_rates: tuple[float, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values."""
        return asdict(self)

    def alarms(self, params: AlarmParams) -> tuple[str, ...]:
        """What is beyond its limit, as sentences."""
        found = []
        if self.agreement < params.agreement:
            found.append(
                f"Candidate and incumbent would decide alike in only {self.agreement:.1%} of rounds "
                f"(limit {params.agreement:.0%})."
            )
        if self.entropy < params.entropy:
            found.append(f"The action mix has collapsed: entropy {self.entropy:.1%} of its maximum.")
        if self.least_propensity < params.least_propensity:
            found.append(f"An eligible action would be tried with probability {self.least_propensity:.1e} only.")
        if self.negative_rates is not None:
            before, now = self.negative_rates
            if abs(now - before) > params.negative_rate:
                found.append(
                    f"Failures went from {before:.1%} to {now:.1%} of rounds "
                    f"(limit {params.negative_rate:.1%} either way)."
                )
        return tuple(found)


def generation_health(
    logged: LoggedBatch,
    candidate: NDArray[np.float64],
    incumbent: NDArray[np.float64],
    negative_rates: tuple[float, float] | None = None,
) -> GenerationHealth:
    """Measures a candidate against the incumbent, probabilities (round, action) over the same logged rounds."""
    mix = candidate.mean(axis=0)
    used = mix[mix > 0]
    return GenerationHealth(
        agreement=float((candidate * incumbent).sum(axis=1).mean()),
        entropy=float(-(used * np.log(used)).sum() / max(np.log(len(mix)), 1e-12)),
        least_propensity=float(candidate[logged.eligible].min()),
        action_mix={name: float(share) for name, share in zip(logged.actions, mix, strict=True)},
        negative_rates=negative_rates,
    )


def negative_rates(windows: Sequence[MaturedBatch]) -> tuple[float, float] | None:
    """The share of failures before the newest window and in it; None where there is one window only."""
    if len(windows) < 2:
        return None
    before = np.concatenate([window.reward for window in windows[:-1]])
    return float(1 - before.mean()), float(1 - windows[-1].reward.mean())


def by_iteration(batch: MaturedBatch) -> list[MaturedBatch]:
    """A batch parted by the iteration that decided, the one that decided last at the end."""
    names = batch.logged.iteration_ids.fill_null("").to_numpy()
    times = batch.logged.decided_at.to_numpy()
    order = sorted(set(names.tolist()), key=lambda name: times[names == name].max())
    return [batch.rows(np.flatnonzero(names == name)) for name in order]
