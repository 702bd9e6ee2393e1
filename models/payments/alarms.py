"""Signs that a new generation has gone astray (rule R10)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import LoggedBatch


@dataclass(frozen=True)
class AlarmParams:
    """Limits: agreement is the probability that candidate and incumbent would decide alike; entropy is of the
    overall action mix, as a share of its maximum; least_propensity of any eligible action."""

    agreement: float = 0.1
    entropy: float = 0.05
    least_propensity: float = 1e-5

    def __post_init__(self) -> None:
        if not all(0 <= limit <= 1 for limit in (self.agreement, self.entropy, self.least_propensity)):
            raise ValueError("alarm limits must be between 0 and 1.")


@dataclass(frozen=True)
class GenerationHealth:
    """The figures behind the alarms, and `action_mix`, the mean probability of each action."""

    agreement: float
    entropy: float
    least_propensity: float
    action_mix: dict[str, float]

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
        return tuple(found)


def generation_health(
    logged: LoggedBatch, candidate: NDArray[np.float64], incumbent: NDArray[np.float64]
) -> GenerationHealth:
    """Measures a candidate against the incumbent, probabilities (round, action) over the same logged rounds."""
    mix = candidate.mean(axis=0)
    used = mix[mix > 0]
    return GenerationHealth(
        agreement=float((candidate * incumbent).sum(axis=1).mean()),
        entropy=float(-(used * np.log(used)).sum() / max(np.log(len(mix)), 1e-12)),
        least_propensity=float(candidate[logged.eligible].min()),
        action_mix={name: float(share) for name, share in zip(logged.actions, mix, strict=True)},
    )
