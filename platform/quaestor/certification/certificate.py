"""A certificate: what is bounded, against which attacks, with what confidence, and what it does not cover."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from quaestor.certification.bounds import BOUNDS
from quaestor.certification.plug_in import plug_in
from quaestor.errors import UsageError
from quaestor.study import did_you_mean


@dataclass(frozen=True)
class CertificateParams:
    """What is declared before any episode is drawn.

    noise_scale σ and budgets share the unit named in the certificate. alpha holds for each budget by itself
    (pointwise). episodes: smoothed episodes played.
    """

    noise_scale: float
    budgets: tuple[float, ...]
    method: str = "clopper-pearson"
    alpha: float = 0.05
    episodes: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.noise_scale > 0 or not self.budgets or min(self.budgets) < 0:
            raise ValueError("noise_scale must be above 0 and budgets 0 or more, at least one.")
        if self.method not in BOUNDS:
            raise ValueError(f"no bound {self.method!r}.{did_you_mean(self.method, BOUNDS)}")
        if not 0 < self.alpha <= 0.5 or self.episodes < 2:
            raise ValueError("alpha must be in (0, 0.5] and episodes 2 or more.")


@dataclass(frozen=True)
class Subject:
    """Whose certificate it is and what was played.

    quantity: what an episode adds up to, lower or higher being better; unit: in words. cap: the quantity is
    certified clipped to [0, cap]. noise: where noise is added, in which unit σ is measured. runner_digest and
    data_digest name the exact policy and the exact contexts or demand. not_covered: limits, as sentences.
    """

    system: str
    quantity: Literal["cost", "reward"]
    unit: str
    episode: str
    environment: str
    noise: str
    cap: float
    runner_digest: str
    data_digest: str
    not_covered: tuple[str, ...]


@dataclass(frozen=True)
class Certificate:
    """A bound on the mean episode cost or reward for each budget, and all it takes to check it.

    bounds[i] holds against every adaptive attack whose total ℓ2 size over an episode is at most budgets[i].
    nominal: the smoothed policy's mean without attack; unsmoothed: the same policy without noise. estimates: the
    bound's plug-in value, no certificate. beyond_cap: the share of episodes above the cap. attacked[i]: the mean
    under the strongest attack tried at budgets[i]. costs_digest names the episode values, which `recompute` turns
    into the same bounds again.
    """

    subject: Subject
    params: CertificateParams
    bounds: tuple[float, ...]
    estimates: tuple[float, ...]
    attacked: tuple[float, ...]
    attacks: str
    nominal: float
    unsmoothed: float
    beyond_cap: float
    episodes: int
    costs_digest: str
    code: str
    issued_at: str
    expires_at: str

    def as_json(self) -> dict[str, Any]:
        """The certificate as plain values."""
        return asdict(self)


def certify(values: NDArray[np.float64], subject: Subject, params: CertificateParams) -> tuple[float, ...]:
    """The certified bound for each budget, from the values (episode,) of smoothed episodes, in their order.

    An upper bound on a cost, a lower bound on a reward. Raises UsageError for values that are not finite, and
    never returns a bound better than the mean it was computed from.
    """
    costs = as_costs(values, subject)
    bound = BOUNDS[params.method]
    upper = [bound(costs, subject.cap, budget / params.noise_scale, params.alpha) for budget in params.budgets]
    if min(upper) < costs.mean() - 1e-12:
        raise AssertionError("a certificate cannot be better than the mean of its own episodes")
    return tuple(_signed(value, subject) for value in upper)


def estimate(values: NDArray[np.float64], subject: Subject, params: CertificateParams) -> tuple[float, ...]:
    """The bound at the empirical distribution, for each budget: what `certify` would tend to."""
    costs = as_costs(values, subject)
    ratios = [budget / params.noise_scale for budget in params.budgets]
    return tuple(_signed(plug_in(costs, subject.cap, ratio, params.alpha), subject) for ratio in ratios)


def as_costs(values: NDArray[np.float64], subject: Subject) -> NDArray[np.float64]:
    """Episode values as costs in [0, cap]: rewards are turned into what they fall short of the cap."""
    if not np.isfinite(values).all():
        raise UsageError("Episode values must be finite; an episode without an end cannot be certified.")
    clipped = np.clip(values, 0.0, subject.cap)
    return clipped if subject.quantity == "cost" else subject.cap - clipped


def values_digest(values: NDArray[np.float64]) -> str:
    """A digest of episode values in their order."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<f8").tobytes()).hexdigest()


def _signed(cost: float, subject: Subject) -> float:
    return cost if subject.quantity == "cost" else subject.cap - cost
