"""Episodes of a smoothed order policy: one episode is every product of the study over the held-out periods."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.inventory.layout import Layout
from models.inventory.observation import ObservationNoise
from models.inventory.rollout import OrderPolicy, rollout
from models.inventory.scenarios import Scenarios
from quaestor.randomness import stream_seed

ROWS_AT_ONCE = 1024
"""Scenarios simulated together: enough to fill the processor, few enough for its caches."""


def episode_costs(
    layout: Layout,
    policy: OrderPolicy,
    scenarios: Scenarios,
    scale: Tensor,
    noise_scale: float,
    episodes: int,
    warmup: int,
    seed: int,
    shift: ObservationNoise | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """Mean cost per store and period of each episode and scenario after the warm-up, (episode, batch).

    Every reading of stock and every demand record gets noise_scale × scale × standard normal; scale (batch,
    place) in units. shift is what an attack adds to the readings of one episode. Seeded episode by episode.
    """
    together = max(1, ROWS_AT_ONCE // scenarios.batch)
    values = np.empty((episodes, scenarios.batch))
    for first in range(0, episodes, together):
        numbers = range(first, min(first + together, episodes))
        rows = torch.arange(scenarios.batch).repeat(len(numbers))
        parts = [_noise(layout, scenarios, scale, noise_scale, stream_seed(seed, "episode", n)) for n in numbers]
        if shift is not None:
            parts = [_add(part, shift) for part in parts]
        noise = ObservationNoise(
            torch.cat([part.on_hand for part in parts]),
            torch.cat([part.in_transit for part in parts]),
            torch.cat([part.demand for part in parts]),
        )
        with torch.no_grad():
            cost = rollout(layout, policy, scenarios.rows(rows), noise)[:, warmup:].mean(dim=1)
        values[first : first + len(numbers)] = cost.double().view(len(numbers), -1) / layout.stores
        if on_progress is not None:
            on_progress(len(numbers))
    return values


def biases(layout: Layout, scenarios: Scenarios, scale: Tensor, budget: float) -> dict[str, ObservationNoise]:
    """Attacks that spread the whole budget (in units of scale) as one constant bias, by name.

    Each moves one kind of reading, all up or all down, so that the total ℓ2 size over the episode is `budget`.
    """
    zero = _zero(layout, scenarios)
    attacks = {}
    for direction, sign in (("up", 1.0), ("down", -1.0)):
        on_hand = torch.ones_like(zero.on_hand) * scale[:, None, :]
        demand = torch.ones_like(zero.demand) * scale[:, layout.warehouses :, None]
        step = sign * budget / zero.on_hand.numel() ** 0.5
        attacks[f"stock readings {direction}"] = ObservationNoise(on_hand * step, zero.in_transit, zero.demand)
        step = sign * budget / zero.demand.numel() ** 0.5
        attacks[f"demand records {direction}"] = ObservationNoise(zero.on_hand, zero.in_transit, demand * step)
    return attacks


def _noise(layout: Layout, scenarios: Scenarios, scale: Tensor, noise_scale: float, seed: int) -> ObservationNoise:
    draw = torch.Generator().manual_seed(seed)
    zero = _zero(layout, scenarios)
    sigma = noise_scale * scale
    return ObservationNoise(
        torch.randn(zero.on_hand.shape, generator=draw) * sigma[:, None, :],
        torch.randn(zero.in_transit.shape, generator=draw) * sigma[:, None, :, None],
        torch.randn(zero.demand.shape, generator=draw) * sigma[:, layout.warehouses :, None],
    )


def _zero(layout: Layout, scenarios: Scenarios) -> ObservationNoise:
    batch, periods, places = scenarios.batch, scenarios.periods, layout.places
    return ObservationNoise(
        torch.zeros(batch, periods, places),
        torch.zeros(batch, periods, places, layout.longest_lead_time),
        torch.zeros_like(scenarios.demand),
    )


def _add(noise: ObservationNoise, shift: ObservationNoise) -> ObservationNoise:
    return ObservationNoise(
        noise.on_hand + shift.on_hand, noise.in_transit + shift.in_transit, noise.demand + shift.demand
    )
