"""Attacks that are not measured by one ℓ2 budget on observations: each with its proof, in a line or two.

ℓ1 on observations: ‖δ‖₂ ≤ ‖δ‖₁, so the certificate at B covers every attack of total ℓ1 size B.
ℓ∞ on observations: an attack of at most ε on each of n entries has ‖δ‖₂ ≤ ε√n, the "spread" reading of a budget.
Demand records: they enter what is observed once, with noise of their own, so corrupting them is an observation attack
with the same budget; corrupting demand itself is not covered.
Actions, and anything else that is drawn: where the attacker changes the distributions from which actions are drawn, by
a total Kullback–Leibler divergence of ρ over an episode, whatever adaptively, the chain rule makes the divergence of
the whole episode at most ρ, and Donsker and Varadhan's inequality bounds the mean cost: `divergence_bound`. It needs
no smoothing. A deterministic action that is replaced has infinite divergence and is not covered.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from quaestor.certification.betting import upper_mean
from quaestor.certification.tangent import SMALLEST_PILOT
from quaestor.randomness import generator

PILOT = 0.2
TILTS = np.geomspace(1e-3, 30.0, 60)
"""Tilts η that are weighed, in 1/standard deviation of the pilot's costs."""


def l2_covering_l1(size: float) -> float:
    """The ℓ2 budget that covers every attack of a total ℓ1 size."""
    return size


def l2_covering_linf(size: float, entries: int) -> float:
    """The ℓ2 budget that covers every attack of at most `size` on each of the entries of an episode."""
    return size * math.sqrt(entries)


def divergence_bound(costs: NDArray[np.float64], cap: float, divergence: float, alpha: float) -> float:
    """An upper bound on the mean cost under any attack of total Kullback–Leibler divergence ρ from the clean episode.

    E_Q[C] ≤ (ρ + log E_P[exp(ηC)])/η for every η > 0 (Donsker and Varadhan 1975); η is chosen on a fifth of the
    episodes and the mean of exp(ηC) is bounded by betting on the others. Fails with probability at most alpha.
    costs (episode,) are independent and clipped to [0, cap]. A Gaussian shift of λ standard deviations has ρ = λ²/2.
    """
    costs = np.clip(costs, 0.0, cap)[generator(0, "order of episodes", len(costs)).permutation(len(costs))]
    size = min(max(SMALLEST_PILOT, math.ceil(PILOT * len(costs))), len(costs) // 2)
    pilot, rest = costs[:size], costs[size:]
    deviation = max(float(pilot.std()), 1e-6 * cap)
    bounds = []
    for tilt in np.minimum(TILTS / deviation, 600 / cap):
        value = np.exp(tilt * (pilot - cap))
        width = 1.75 * float(value.std()) / math.sqrt(len(rest)) - 0.5 * math.log(alpha) / len(rest)
        bounds.append((divergence + math.log(float(value.mean()) + width)) / tilt + cap)
    tilt = float(np.minimum(TILTS / deviation, 600 / cap)[int(np.argmin(bounds))])
    least = math.exp(-tilt * cap)
    first, others = ((np.exp(tilt * (part - cap)) - least) / (1 - least) for part in (pilot, rest))
    mean = upper_mean(others, alpha, float(first.var()) + 1 / size**2, size)
    bound = cap + (divergence + math.log(least + (1 - least) * mean)) / tilt
    return min(cap, max(bound, float(costs.mean())))


def divergence_bounds(
    costs: NDArray[np.float64], cap: float, ratios: NDArray[np.float64], alpha: float
) -> NDArray[np.float64]:
    """The same for each of several attacks with the divergence of a shift by λ standard deviations, λ²/2: (ratio,).

    Looser than a bound by policy smoothing, and it covers every attack of that divergence, on actions, too."""
    return np.array([divergence_bound(costs, cap, ratio**2 / 2, alpha) for ratio in ratios])
