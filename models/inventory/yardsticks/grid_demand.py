"""The law of one period's demand on an even grid, which exact methods convolve over lead times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from models.inventory.yardsticks.value_iteration import poisson_pmf

Floats = NDArray[np.float64]

STEPS_PER_DEVIATION = 512
"""Grid cells per standard deviation of one period's demand: costs are then right to five decimals."""

NEGLIGIBLE = 1e-16
"""Probability of all that a grid leaves out at its end."""


@dataclass(frozen=True)
class GridDemand:
    """Demand of a period is cell × step units with probability chance (cell,), independent between periods."""

    step: float
    chance: Floats

    @property
    def units(self) -> Floats:
        """The demand of each cell, in units, (cell,)."""
        return np.asarray(np.arange(len(self.chance)) * self.step)

    @property
    def mean(self) -> float:
        """Mean demand, in units."""
        return float(self.units @ self.chance)

    def over(self, periods: int) -> GridDemand:
        """The law of the total demand of several periods; of none, 0 for certain."""
        cells = periods * (len(self.chance) - 1) + 1
        size = 1 << (cells - 1).bit_length()
        total = np.fft.irfft(np.fft.rfft(self.chance, size) ** periods, size)[:cells] if size > 1 else np.ones(1)
        return GridDemand(self.step, _without_tail(np.maximum(total, 0.0)))


def normal_on_grid(mean: float, standard_deviation: float, steps: int = STEPS_PER_DEVIATION) -> GridDemand:
    """Normal demand clipped at 0, with the chance of 0 kept as an atom, on `steps` cells per standard deviation.

    mean and standard_deviation are of the normal before clipping, in units. Raises ValueError for a deviation not
    above 0.
    """
    if not standard_deviation > 0:
        raise ValueError(f"standard_deviation must be above 0, found {standard_deviation}.")
    step = standard_deviation / steps
    cells = int(np.ceil((max(mean, 0.0) + 10.0 * standard_deviation) / step)) + 1
    edges = (np.arange(cells) + 0.5) * step
    chance = np.diff(ndtr((edges - mean) / standard_deviation), prepend=0.0)
    return GridDemand(step, _without_tail(chance))


def poisson_on_grid(mean: float) -> GridDemand:
    """Poisson demand, in whole units."""
    return GridDemand(1.0, poisson_pmf(mean))


def _without_tail(chance: Floats) -> Floats:
    tail = chance[::-1].cumsum()[::-1]
    kept = chance[tail > NEGLIGIBLE]
    return np.asarray(kept / kept.sum())
