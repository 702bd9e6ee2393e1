"""The tangent dual: a bound on the attacked mean that needs one mean and no band.

g is concave, so for any guess s₀ of the survival function, made before the episodes are seen,
W = ∫ g(S) ≤ ∫ g(s₀) + g'(s₀)(S − s₀) = A(s₀) + E[H(C)],  A = ∫ g(s₀) − g'(s₀)s₀,  H(x) = ∫₀ˣ g'(s₀),
with equality at s₀ = S. The first episodes, the pilot, give s₀; the others bound the mean of H(C) by betting.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quaestor.certification.betting import upper_mean
from quaestor.certification.distortion import distort, slope
from quaestor.certification.plug_in import plug_in
from quaestor.certification.survival_guesses import guesses, knots
from quaestor.randomness import generator

Array = NDArray[np.float64]

PILOT = 0.1
"""The share of episodes that the guess is made from."""
SMALLEST_PILOT = 20
FLOORS = (3.0, 1.0, 0.3, 0.1, 0.03)
"""Floors of s₀ that are weighed, in 1/pilot: a lower one fits the tail, a higher one keeps H short of huge values."""
ERRORS, RANGES = 1.75, 1.0
"""What a bet is expected to cost: standard errors, and log(1/α)/n of the whole range of H."""


@dataclass(frozen=True)
class Dual:
    """H at the knots (knot,), linear between them, and the constant A, in the unit of cost."""

    knots: Array
    values: Array
    constant: float

    @property
    def range(self) -> float:
        """H at the cap: the most that H can be."""
        return float(self.values[-1])


@dataclass(frozen=True)
class Placed:
    """Costs by the interval of a grid that they fall in, (episode,), and how far into it they lie, from 0 to 1."""

    step: NDArray[np.int64]
    share: Array

    def of(self, values: Array) -> Array:
        """A function that is linear between the knots, from its values there (knot,): at each cost, (episode,)."""
        return values[self.step] + self.share * np.diff(values)[self.step]

    def weights(self, knots: int) -> Array:
        """The weight of each knot, (knot,), with which the mean of any such function is the costs' own."""
        near, far = np.bincount(self.step, 1 - self.share, knots), np.bincount(self.step + 1, self.share, knots)
        return np.asarray((near + far) / len(self.step))


def place(costs: Array, grid: Array) -> Placed:
    """Where each cost lies in a grid of increasing levels."""
    step = np.clip(np.searchsorted(grid, costs, side="right") - 1, 0, len(grid) - 2)
    return Placed(step, (costs - grid[step]) / np.diff(grid)[step])


def tangent_betting(costs: Array, cap: float, ratios: Array, alpha: float) -> Array:
    """An upper bound on the attacked mean cost for each λ, (ratio,), each failing with probability at most alpha.

    costs (episode,) are independent and clipped to [0, cap]; a tenth of them is the pilot, in an order that
    depends on their number alone, so that a sorted file does no harm. Bounds are pointwise: divide alpha by the number
    of ratios to make them simultaneous. None is below the plug-in value.
    """
    costs = np.clip(costs, 0.0, cap)[_order(len(costs))]
    size = min(max(SMALLEST_PILOT, math.ceil(PILOT * len(costs))), len(costs) // 2)
    if size < 2:
        return np.full(len(ratios), cap)
    pilot, rest = costs[:size], costs[size:]
    grid = knots(pilot, cap)
    placed = place(pilot, grid), place(rest, grid)
    halves = pilot[::2], pilot[1::2]
    trials = [
        (guesses(made_of, cap, grid), place(judged_on, grid).weights(len(grid)))
        for made_of, judged_on in (halves, halves[::-1])
    ]
    final = guesses(pilot, cap, grid)
    bounds = [_bound(placed, grid, final, trials, ratio, alpha, cap) for ratio in ratios]
    return np.maximum(bounds, plug_in(costs, cap, ratios))


def dual(grid: Array, survival: Array, ratio: float) -> Dual:
    """The tangent at a guessed survival function: survival (step,) above 0 on each interval of grid (step + 1,)."""
    tangent, widths = slope(survival, ratio), np.diff(grid)
    values = np.concatenate(([0.0], np.cumsum(tangent * widths)))
    return Dual(grid, values, float((distort(survival, ratio) - tangent * survival) @ widths))


def _bound(
    placed: tuple[Placed, Placed],
    grid: Array,
    final: Mapping[str, Array],
    trials: list[tuple[dict[str, Array], Array]],
    ratio: float,
    alpha: float,
    cap: float,
) -> float:
    """The bound for one λ, with the guess and the floor that promise most on halves of the pilot."""
    pilot, rest = placed
    names = [name for name in final if all(name in made for made, _ in trials)]
    floors = np.minimum(np.array(FLOORS) / len(pilot.step), 0.5)
    promised = sum(
        _promises(grid, np.stack([made[name] for name in names]), floors, weights, len(rest.step), ratio, alpha)
        for made, weights in trials
    )
    row, column = np.unravel_index(int(np.argmin(promised)), (len(names), len(floors)))
    tangent = dual(grid, np.clip(final[names[row]], floors[column], 1 - floors[column]), ratio)
    if tangent.range == 0:  # so large a λ that g is flat: no episode says anything
        return min(cap, tangent.constant)
    first = pilot.of(tangent.values) / tangent.range
    variance = float(first.var()) + 1 / len(first) ** 2
    mean = upper_mean(rest.of(tangent.values) / tangent.range, alpha, variance, len(first))
    return min(cap, tangent.constant + tangent.range * mean)


def _promises(
    grid: Array, made: Array, floors: Array, weights: Array, episodes: int, ratio: float, alpha: float
) -> Array:
    """What the bound should come to with each guess (guess, step) and floor, (guess, floor), on the costs that
    weights (knot,) stand for."""
    floor = floors[None, :, None]
    survival = np.clip(made[:, None, :], floor, 1 - floor)
    tangent, widths = slope(survival, ratio), np.diff(grid)
    constant = (distort(survival, ratio) - tangent * survival) @ widths
    values = np.cumsum(tangent * widths, axis=2)
    mean = values @ weights[1:]
    deviation = np.sqrt(np.maximum(values**2 @ weights[1:] - mean**2, 0.0))
    return np.asarray(
        constant
        + mean
        + ERRORS * deviation / math.sqrt(episodes)
        - RANGES * math.log(alpha) / episodes * values[..., -1]
    )


def _order(episodes: int) -> NDArray[np.int64]:
    return generator(0, "order of episodes", episodes).permutation(episodes)
