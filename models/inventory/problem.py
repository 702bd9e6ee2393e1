"""An inventory problem: a network, its scenarios for training, dev and test, and the scale of demand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.inventory.layout import Layout
from models.inventory.network import Network
from models.inventory.policies.demand_scale import SMALLEST_SCALE
from models.inventory.scenarios import Scenarios, scenarios_from_demand


@dataclass(frozen=True)
class Problem:
    """What a policy is trained and judged on.

    scale (batch, place): mean demand a period through each place in the training window, in units; it is what
    noise is measured in, so it must be known before any episode. typical_demand: a store's mean demand.
    """

    network: Network
    layout: Layout
    train: Scenarios
    dev: Scenarios
    test: Scenarios
    scale: Tensor
    typical_demand: float


def problem_from_demand(
    network: Network,
    layout: Layout,
    demand: NDArray[np.float64],
    calendar: NDArray[np.float64],
    windows: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
    history: int,
    seed: int,
) -> Problem:
    """Cuts demand (batch, store, period) and calendar (period, feature) into train, dev and test by period.

    layout: of the network, on the terms of all scenarios. windows are [first, past the last) pairs that include
    `history` leading periods.
    """
    train, dev, test = (
        scenarios_from_demand(layout, demand[:, :, first:last], calendar[first:last], history, seed)
        for first, last in windows
    )
    stores = train.demand.mean(dim=2).clamp(min=SMALLEST_SCALE)
    return Problem(network, layout, train, dev, test, stores @ layout.store_share, float(train.demand.mean()))
