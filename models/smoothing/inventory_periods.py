"""What an order policy costs period by period, as deployed: with the noise of its smoothing."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from models.inventory.layout import Layout
from models.inventory.rollout import OrderPolicy, rollout
from models.inventory.scenarios import Scenarios
from models.smoothing.inventory import ROWS_AT_ONCE
from models.smoothing.noise import NoiseScales, standard_noise
from quaestor.randomness import stream_seed


def period_costs(
    layout: Layout,
    policy: OrderPolicy,
    scenarios: Scenarios,
    scales: NoiseScales,
    noise_scale: float,
    draws: int,
    warmup: int,
    seed: int,
) -> NDArray[np.float64]:
    """Cost per store of each scenario and period after the warm-up, (batch, period), averaged over draws of noise.

    Demand and noise are functions of scenarios and seed alone, so that policies are paired on the same chance.
    """
    if noise_scale == 0:
        draws = 1
    together = max(1, ROWS_AT_ONCE // scenarios.batch)
    total = np.zeros((scenarios.batch, scenarios.periods - warmup))
    for first in range(0, draws, together):
        count = min(together, draws - first)
        everyone = torch.arange(scenarios.batch).repeat(count)
        rows, terms = scenarios.rows(everyone), layout.rows(everyone)
        noise = None
        if noise_scale > 0:
            drawn = standard_noise(layout, rows, rows.batch, stream_seed(seed, "noise", first))
            noise = scales.rows(everyone).times(drawn, noise_scale)
        with torch.no_grad():
            cost = rollout(terms, policy, rows, noise)[:, warmup:].double().cpu().numpy()
        total += cost.reshape(count, *total.shape).sum(axis=0)
    return np.asarray(total / draws / layout.stores)
