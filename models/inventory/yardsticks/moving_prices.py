"""Prices that move with recent demand: what a store pays for stock that somebody had to order without knowing it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from models.inventory.yardsticks.grid_demand import Floats

CLASSES = 3
"""Equally probable classes that a period's signal, a standard normal, is sorted into."""

MEMORY = 3
"""Periods of demand that a price remembers at most."""


@dataclass(frozen=True)
class Scarcity:
    """The shape of a price in the sum of the last signals: 0 below about `threshold`, rising from there.

    softplus(steepness · (sum − threshold)), scaled to a mean of 1; a steepness of 0 is a price that never moves.
    """

    threshold: float = 0.0
    steepness: float = 0.0

    def table(self, memory: int) -> Floats:
        """The price of each sequence of classes, latest first, (class, …, class); its mean is 1."""
        total = np.zeros(())
        for _ in range(memory):
            total = np.add.outer(total, class_scores())
        shape = np.logaddexp(0.0, self.steepness * (total - self.threshold))
        return np.asarray(shape / shape.mean())


def class_limits() -> Floats:
    """The standard normal's limits between classes, from -inf to inf, (class + 1,)."""
    return np.asarray(ndtri(np.linspace(0.0, 1.0, CLASSES + 1)))


def class_scores() -> Floats:
    """Mean signal of each class, (class,)."""
    limits = class_limits()
    density = np.exp(-(limits**2) / 2) / np.sqrt(2 * np.pi)
    return np.asarray((density[:-1] - density[1:]) * CLASSES)


def shipping_price(holding: float, scarcity: Scarcity, memory: int) -> Floats:
    """What taking a unit out of a warehouse costs, less the holding it saves, in expectation, (class, …, class).

    A warehouse's stock of period t was ordered `memory` periods or more before. Its multiplier of period t, `holding`
    times the table, therefore has mean `holding` when that order is placed; a unit shipped now pays this period's and
    all later ones, of which only the first `memory` are not yet even in expectation.
    """
    now = scarcity.table(memory)
    price = np.zeros_like(now)
    for ahead in range(memory):
        # `ahead` periods on, as many classes still to come are latest, and the oldest of today's are forgotten.
        expected = now.mean(axis=tuple(range(ahead)))
        price += expected.reshape(expected.shape + (1,) * ahead) - 1.0
    return holding * price
