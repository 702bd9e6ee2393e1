"""A certificate: what is bounded, against which attacks, with what confidence, and what it does not cover."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from quaestor.certification.bounds import BOUNDS, SIMULTANEOUS
from quaestor.certification.clopper_pearson import beyond_cap
from quaestor.certification.per_trace import per_trace
from quaestor.certification.plug_in import plug_in
from quaestor.errors import UsageError
from quaestor.study import did_you_mean

PER_TRACE = "per-trace"


@dataclass(frozen=True)
class CertificateParams:
    """What is declared before any episode is drawn.

    noise_scale σ and budgets share the unit named in the certificate. alpha holds for each budget by itself
    (pointwise) unless `simultaneous`. episodes: smoothed episodes played at most. draws: episodes that share one
    trace of demand or payments, more than 1 for the method per-trace only. looks: how often playing may stop, at
    doubling sizes up to `episodes`, each at alpha/looks; it stops once the bound at the largest budget is within
    `width` (in the unit of the quantity) of its estimate.
    """

    noise_scale: float
    budgets: tuple[float, ...]
    method: str = "tangent-betting"
    alpha: float = 0.05
    episodes: int = 1000
    seed: int = 0
    simultaneous: bool = False
    draws: int = 1
    looks: int = 1
    width: float = 0.0

    def __post_init__(self) -> None:
        known = [*BOUNDS, PER_TRACE]
        if not self.noise_scale > 0 or not self.budgets or min(self.budgets) < 0:
            raise ValueError("noise_scale must be above 0 and budgets 0 or more, at least one.")
        if self.method not in known:
            raise ValueError(f"no bound {self.method!r}.{did_you_mean(self.method, known)}")
        if not 0 < self.alpha <= 0.5 or self.episodes < 2:
            raise ValueError("alpha must be in (0, 0.5] and episodes 2 or more.")
        if (self.draws > 1) != (self.method == PER_TRACE) or self.draws < 1 or self.episodes % self.draws:
            raise ValueError("draws must divide episodes, above 1 with the method per-trace and 1 with any other.")
        if self.looks < 1 or self.width < 0 or (self.looks > 1 and not self.width > 0):
            raise ValueError("looks must be 1 or more, and more than one needs a width above 0.")

    @property
    def alpha_each(self) -> float:
        """The level of one bound at one look, so that everything the certificate says holds at alpha."""
        shared = len(self.budgets) if self.simultaneous and self.method not in SIMULTANEOUS else 1
        return self.alpha / shared / self.looks


@dataclass(frozen=True)
class Reading:
    """What a budget of 1 means for one kind of entry that a policy sees.

    scale: the size of noise 1, in `unit`; entries: how many of them are seen in an episode. A budget B moves one
    entry once by B × scale ("one shot") or every entry by B × scale / √entries ("spread").
    """

    name: str
    unit: str
    scale: float
    entries: int

    def one_shot(self, budget: float) -> float:
        """The most one entry can be misreported, in its unit."""
        return budget * self.scale

    def spread(self, budget: float) -> float:
        """The most every entry can be misreported at once, in its unit."""
        return budget * self.scale / math.sqrt(self.entries)


@dataclass(frozen=True)
class Subject:
    """Whose certificate it is and what was played.

    quantity: what an episode adds up to, lower or higher being better; unit: in words. cap: the quantity is
    certified clipped to [0, cap]. noise: where noise is added, in which unit σ is measured, and `readings` says so
    entry by entry. runner_digest, data_digest and configuration_digest name the exact policy, the exact contexts or
    demand and the study's settings. not_covered: limits, as sentences.
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
    readings: tuple[Reading, ...] = ()
    data_window: str = ""
    configuration_digest: str = ""


@dataclass(frozen=True)
class AttackTried:
    """One attack at one budget: the mean it led to over fresh episodes, and the standard error of that mean."""

    name: str
    budget: float
    mean: float
    error: float
    episodes: int


@dataclass(frozen=True)
class Certificate:
    """A bound on the mean episode cost or reward for each budget, and all it takes to check it.

    bounds[i] holds against every adaptive attack whose total ℓ2 size over an episode is at most budgets[i].
    nominal: the smoothed policy's mean without attack; unsmoothed: the same policy without noise. estimates: the
    bound's plug-in value, no certificate. beyond_cap: the share of episodes at the cap or above; beyond_cap_bounds:
    at most this share under attack. attacked[i]: the mean under the strongest attack tried at budgets[i], all of which
    are in attacks_tried. costs_digest names the episode values, which `certify` turns into the same bounds again.
    declared_at: when parameters and subject were frozen, before `noise_seed` was drawn; attempt: how many
    certificates were declared for this policy so far, this one included.
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
    beyond_cap_bounds: tuple[float, ...] = ()
    attacks_tried: tuple[AttackTried, ...] = ()
    noise_seed: int = 0
    declared_at: str = ""
    attempt: int = 1

    def as_json(self) -> dict[str, Any]:
        """The certificate as plain values."""
        return asdict(self)

    @property
    def price_of_smoothing(self) -> float:
        """How much worse the smoothed policy is than the same policy without noise, as a share."""
        change = self.nominal - self.unsmoothed
        worse = change if self.subject.quantity == "cost" else -change
        return worse / abs(self.unsmoothed) if self.unsmoothed else 0.0


def certify(values: NDArray[np.float64], subject: Subject, params: CertificateParams) -> tuple[float, ...]:
    """The certified bound for each budget, from the values (episode,) of smoothed episodes, in their order.

    An upper bound on a cost, a lower bound on a reward. Draws of one trace follow each other. Raises UsageError for
    values that are not finite, and never returns a bound better than the mean it was computed from.
    """
    costs, ratios = as_costs(values, subject), _ratios(params)
    if params.method == PER_TRACE:
        try:
            upper = per_trace(costs.reshape(-1, params.draws), subject.cap, ratios, params.alpha_each)
        except ValueError as error:
            raise UsageError(f"These episodes cannot be certified: {error}") from None
    else:
        upper = BOUNDS[params.method](costs, subject.cap, ratios, params.alpha_each)
    if upper.min() < costs.mean() - 1e-9 * subject.cap:
        raise AssertionError("a certificate cannot be better than the mean of its own episodes")
    return tuple(_signed(float(value), subject) for value in upper)


def estimate(values: NDArray[np.float64], subject: Subject, params: CertificateParams) -> tuple[float, ...]:
    """The bound at the empirical distribution, for each budget; trace by trace where traces are certified."""
    costs, ratios = as_costs(values, subject), _ratios(params)
    traces = costs.reshape(-1, params.draws) if params.draws > 1 else costs[None]
    return tuple(_signed(float(value), subject) for value in _mean_plug_in(traces, subject.cap, ratios))


def tail_bounds(values: NDArray[np.float64], subject: Subject, params: CertificateParams) -> tuple[float, ...]:
    """For each budget, the most that an attack can make of the probability of a value at the cap or above, at alpha
    each; clipped values tell it as well.

    With draws of one trace, only the first draw of each is independent and counted.
    """
    independent = values[:: params.draws]
    exceeding = int((independent >= subject.cap).sum())
    return tuple(beyond_cap(exceeding, len(independent), _ratios(params), params.alpha_each).tolist())


def as_costs(values: NDArray[np.float64], subject: Subject) -> NDArray[np.float64]:
    """Episode values as costs in [0, cap]: rewards are turned into what they fall short of the cap."""
    if not np.isfinite(values).all():
        raise UsageError("Episode values must be finite; an episode without an end cannot be certified.")
    clipped = np.clip(values, 0.0, subject.cap)
    return clipped if subject.quantity == "cost" else subject.cap - clipped


def values_digest(values: NDArray[np.float64]) -> str:
    """A digest of episode values in their order."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<f8").tobytes()).hexdigest()


def _ratios(params: CertificateParams) -> NDArray[np.float64]:
    return np.array(params.budgets, dtype=np.float64) / params.noise_scale


def _mean_plug_in(traces: NDArray[np.float64], cap: float, ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.mean([plug_in(trace, cap, ratios) for trace in traces], axis=0))


def _signed(cost: float, subject: Subject) -> float:
    return cost if subject.quantity == "cost" else subject.cap - cost
