"""A bound that does not pay for chance which no attack can move: each trace of demand is certified by itself.

Demand (or the payments that arrive) is drawn before the episode and not moved by what a policy sees, so
S(t) = E_w S(t | w) and W ≤ E_w ∫ g(S(t | w)) holds for an adversary that even knows the whole trace w. Every trace
is played a few times with fresh noise. Each draw of a trace is judged by the tangent dual whose guess, a normal law,
is made from its other draws; the mean over the draws, U, is then at least the trace's own bound on average. One bet
on the independent U of all traces gives the certificate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr, ndtri

from quaestor.certification.betting import upper_mean
from quaestor.certification.distortion import distort, slope
from quaestor.certification.plug_in import plug_in

Array = NDArray[np.float64]

PILOT = 0.1
"""The share of traces from which the floor and the pooled spread are chosen."""
FEWEST_TRACES, FEWEST_DRAWS = 20, 2
FLOORS = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
ERRORS, RANGES = 1.75, 1.0
"""What the bet is expected to cost: standard errors, and log(1/α)/n of the whole range."""
POOLED = 4.0
"""How many draws the pooled spread counts for beside a trace's own."""


@dataclass(frozen=True)
class Normal:
    """A guessed normal law of cost for each draw: mean and deviation (trace, draw)."""

    mean: Array
    deviation: Array


def per_trace(costs: Array, cap: float, ratios: Array, alpha: float) -> Array:
    """An upper bound on the attacked mean cost for each λ, (ratio,), each failing with probability at most alpha.

    costs (trace, draw), clipped to [0, cap]: traces are independent, and so are the draws of noise within each.
    Holds also against an adversary that knows the trace. Bounds are pointwise. Raises ValueError for fewer than
    20 traces or 2 draws.
    """
    traces, draws = costs.shape
    if traces < FEWEST_TRACES or draws < FEWEST_DRAWS:
        raise ValueError(
            f"per-trace needs {FEWEST_TRACES} traces and {FEWEST_DRAWS} draws or more, found {traces} × {draws}."
        )
    costs = np.clip(costs, 0.0, cap)
    size = max(FEWEST_TRACES // 2, math.ceil(PILOT * traces))
    pooled = float(costs[:size].var(axis=1, ddof=1).mean())
    guessed = _others(costs, max(pooled, (1e-6 * cap) ** 2))
    floor_of_all = plug_in(costs.ravel(), cap, np.zeros(1))[0]
    return np.array([max(_bound(costs, guessed, size, cap, ratio, alpha), floor_of_all) for ratio in ratios])


def _bound(costs: Array, guessed: Normal, size: int, cap: float, ratio: float, alpha: float) -> float:
    rest = len(costs) - size
    options = []
    for floor in FLOORS:
        first = dual_values(costs[:size], _rows(guessed, slice(0, size)), cap, ratio, floor).mean(axis=1)
        largest = range_of(cap, ratio, floor)
        promised = first.mean() + ERRORS * first.std() / math.sqrt(rest) - RANGES * math.log(alpha) / rest * largest
        options.append((float(promised), floor, largest, float(first.var()) + (largest / size) ** 2))
    _, floor, largest, variance = min(options)
    values = dual_values(costs[size:], _rows(guessed, slice(size, None)), cap, ratio, floor).mean(axis=1)
    return min(cap, largest * upper_mean(values / largest, alpha, variance / largest**2, size))


def range_of(cap: float, ratio: float, floor: float) -> float:
    """The most that A + H can be for any guess that stays above the floor: cap × (g(f) + g'(f)(1 − f))."""
    f = np.array(floor)
    return cap * float(distort(f, ratio) + slope(f, ratio) * (1 - f))


def dual_values(costs: Array, guessed: Normal, cap: float, ratio: float, floor: float) -> Array:
    """A(s₀) + H(cost) of each draw, (trace, draw), for s₀(t) = max(floor, Φ((mean − t)/deviation)) on [0, cap].

    In closed form: with z = (mean − t)/deviation, ∫Φ = zΦ + φ and ∫e^{−λz}Φ by parts.
    """
    if ratio == 0:
        return costs
    mean, deviation = guessed.mean, guessed.deviation
    lowest = float(ndtri(floor))
    top = mean / deviation
    end = np.maximum((mean - cap) / deviation, lowest)
    end = np.minimum(end, top)
    flat = np.minimum(cap, np.maximum(cap - (mean - lowest * deviation), 0.0))  # where the floor holds
    z = np.clip((mean - costs) / deviation, end, top)
    beyond = np.clip(costs - np.maximum(mean - lowest * deviation, 0.0), 0.0, None)
    steep = float(slope(np.array(floor), ratio))
    grown = deviation / ratio * (np.exp(-ratio * z - ratio**2 / 2) - np.exp(-ratio * top - ratio**2 / 2))
    value = grown + steep * beyond
    constant = deviation * (_area(top, ratio) - _area(end, ratio))
    rest = float(distort(np.array(floor), ratio)) - steep * floor
    return np.asarray(np.maximum(constant + flat * rest + value, 0.0))


def _area(z: Array, ratio: float) -> Array:
    """An antiderivative in z of Φ(z + λ) − e^{−λz − λ²/2}Φ(z)."""
    shifted = z + ratio
    first = shifted * ndtr(shifted) + np.exp(-(shifted**2) / 2) / math.sqrt(2 * math.pi)
    return np.asarray(first + (np.exp(log_ndtr(z) - ratio * z - ratio**2 / 2) - ndtr(shifted)) / ratio)


def _others(costs: Array, pooled: float) -> Normal:
    """The predictive normal law of each draw from the other draws of its trace."""
    others = costs.shape[1] - 1
    mean = (costs.sum(axis=1, keepdims=True) - costs) / others
    squares = (costs**2).sum(axis=1, keepdims=True) - costs**2
    own = np.maximum(squares - others * mean**2, 0.0)
    variance = (own + POOLED * pooled) / (others - 1 + POOLED)
    return Normal(mean, np.sqrt(variance * (1 + 1 / others)))


def _rows(guessed: Normal, rows: slice) -> Normal:
    return Normal(guessed.mean[rows], guessed.deviation[rows])
