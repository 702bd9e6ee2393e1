"""The noise that smoothing adds to what an order policy sees: in which units, and drawn so that it can be replayed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.inventory.layout import Layout
from models.inventory.observation import ObservationNoise
from models.inventory.scenarios import Scenarios


@dataclass(frozen=True)
class NoiseScales:
    """What noise 1 is for each entry, in units: on_hand and in_transit (batch, place), demand (batch, store); the
    leading axis is 1 where all scenarios share them.

    With noise scale σ an entry gets σ × its scale × standard normal, and an attack δ on it counts δ / its scale
    against the budget: this is the per-entry σ of the theorem, which is about δ / σ alone.
    """

    on_hand: Tensor
    in_transit: Tensor
    demand: Tensor

    @classmethod
    def by_place(cls, layout: Layout, scale: Tensor) -> NoiseScales:
        """One scale (batch, place), in units, for every reading of a place and every demand record of a store."""
        return cls(scale, scale, scale[:, layout.warehouses :])

    @classmethod
    def ones(cls, like: NoiseScales) -> NoiseScales:
        """One unit everywhere."""
        return cls(*(torch.ones_like(part) for part in (like.on_hand, like.in_transit, like.demand)))

    def rows(self, index: Tensor) -> NoiseScales:
        """The scales of scenarios with these row numbers, repeats allowed; themselves where all share them."""
        if len(self.on_hand) == 1:
            return self
        return NoiseScales(self.on_hand[index], self.in_transit[index], self.demand[index])

    def times(self, noise: ObservationNoise, factor: float = 1.0) -> ObservationNoise:
        """Entries given in scales, turned into units and multiplied by a factor."""
        return ObservationNoise(
            noise.on_hand * (factor * self.on_hand)[:, None, :],
            noise.in_transit * (factor * self.in_transit)[:, None, :, None],
            noise.demand * (factor * self.demand)[:, :, None],
        )


def standard_noise(layout: Layout, scenarios: Scenarios, rows: int, seed: int) -> ObservationNoise:
    """Standard normal entries for `rows` episodes: each reading and each demand record once."""
    draw = torch.Generator().manual_seed(seed)
    like = scenarios.demand
    sizes = shapes(layout, scenarios, rows)
    return ObservationNoise(*(torch.randn(size, generator=draw, dtype=like.dtype).to(like.device) for size in sizes))


def silence(layout: Layout, scenarios: Scenarios, rows: int) -> ObservationNoise:
    """No noise, in the shape of the noise of `rows` episodes."""
    like = scenarios.demand
    return ObservationNoise(*(like.new_zeros(size) for size in shapes(layout, scenarios, rows)))


def shapes(layout: Layout, scenarios: Scenarios, rows: int) -> tuple[tuple[int, ...], ...]:
    """The shapes of the noise of `rows` episodes: on hand, in transit, demand."""
    periods, places = scenarios.periods, layout.places
    return (
        (rows, periods, places),
        (rows, periods, places, layout.longest_lead_time),
        (rows, layout.stores, scenarios.history + periods),
    )


def add(noise: ObservationNoise, shift: ObservationNoise) -> ObservationNoise:
    """The sum, entry by entry."""
    return ObservationNoise(
        noise.on_hand + shift.on_hand, noise.in_transit + shift.in_transit, noise.demand + shift.demand
    )


def repeat(noise: ObservationNoise, times: int) -> ObservationNoise:
    """The same entries again for each of several episodes, episode by episode."""
    return ObservationNoise(
        *(part.repeat(times, *(1,) * (part.dim() - 1)) for part in (noise.on_hand, noise.in_transit, noise.demand))
    )


def squares(noise: ObservationNoise) -> Tensor:
    """The squared ℓ2 size of each row, (row,)."""
    parts = (noise.on_hand, noise.in_transit, noise.demand)
    return torch.stack([part.flatten(1).square().sum(dim=1) for part in parts]).sum(dim=0)


def scaled(noise: ObservationNoise, factor: Tensor) -> ObservationNoise:
    """Each row multiplied by its own factor (row,)."""
    return ObservationNoise(
        noise.on_hand * factor[:, None, None],
        noise.in_transit * factor[:, None, None, None],
        noise.demand * factor[:, None, None],
    )
