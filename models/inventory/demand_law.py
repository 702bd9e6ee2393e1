"""Laws that demand is drawn from, where none is recorded: Poisson, negative binomial, correlated normal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from quaestor.randomness import generator

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DemandLaw:
    """Demand of each store in a period, independent between periods.

    mean (store,) and, for all but Poisson, deviation (store,): units a period. correlation: between any two stores,
    for normal demand. clipped: whether normal demand ends at 0; below it, goods come back.
    """

    law: Literal["poisson", "normal", "negative_binomial"]
    mean: tuple[float, ...]
    deviation: tuple[float, ...] = ()
    correlation: float = 0.0
    clipped: bool = True

    def __post_init__(self) -> None:
        stores = len(self.mean)
        if stores == 0 or not all(np.isfinite(mean) and mean > 0 for mean in self.mean):
            raise ValueError("mean must hold a number above 0 for every store.")
        expected = 0 if self.law == "poisson" else stores
        if len(self.deviation) != expected or not all(np.isfinite(of) and of > 0 for of in self.deviation):
            raise ValueError(
                f"{self.law} demand needs {expected} deviations above 0, one a store; found {list(self.deviation)}."
            )
        if not -1 / max(stores - 1, 1) <= self.correlation <= 1:
            raise ValueError(f"{stores} stores cannot all have a correlation of {self.correlation} with each other.")
        if self.law != "normal" and (self.correlation or not self.clipped):
            raise ValueError(f"correlation and clipped belong to normal demand, not to {self.law}.")
        if self.law == "negative_binomial" and any(
            deviation**2 <= mean for mean, deviation in zip(self.mean, self.deviation, strict=True)
        ):
            raise ValueError("negative binomial demand varies more than Poisson: deviation² must be above the mean.")

    @property
    def stores(self) -> int:
        """How many stores it is for."""
        return len(self.mean)

    def draw(self, batch: int, periods: int, seed: int) -> Floats:
        """Demand in units, (batch, store, period)."""
        chance = generator(seed, f"{self.law} demand")
        mean = np.array(self.mean)[:, None]
        shape = (batch, self.stores, periods)
        if self.law == "poisson":
            return chance.poisson(mean, shape).astype(np.float64)
        deviation = np.array(self.deviation)[:, None]
        if self.law == "negative_binomial":
            size = mean**2 / (deviation**2 - mean)
            return chance.negative_binomial(size, size / (size + mean), shape).astype(np.float64)
        demand = mean + deviation * self._scores(chance, shape)
        return np.maximum(demand, 0.0) if self.clipped else demand

    def _scores(self, chance: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
        scores = chance.standard_normal(shape)
        if self.correlation == 0 or self.stores == 1:
            return scores
        between = np.full((self.stores, self.stores), self.correlation)
        np.fill_diagonal(between, 1.0)
        values, vectors = np.linalg.eigh(between)
        root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        return np.asarray(np.einsum("ij,bjt->bit", root, scores))
