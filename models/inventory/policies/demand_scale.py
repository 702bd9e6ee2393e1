"""The size of demand at each place: what makes one policy fit products that sell 1 or 10,000 a week."""

from __future__ import annotations

import torch
from torch import Tensor

from models.inventory.layout import Layout

SMALLEST_SCALE = 0.5
"""Units; below it a series of zeros would turn observation noise into large features."""

IDLE_SCALE = 1e-3
"""Units, at a place that serves no store: it orders next to nothing, and nothing is divided by 0."""


def demand_scale(layout: Layout, past_demand: Tensor, typical: float) -> Tensor:
    """Units a period that pass through each place, (batch, place).

    A store's recent mean demand, split evenly over its sources for the places upstream. past_demand (batch,
    store, window) in units; with a window of 0 it is what the network says of the store's demand, and `typical`
    where it says nothing.
    """
    if past_demand.shape[2]:
        stores = past_demand.mean(dim=2).clamp(min=SMALLEST_SCALE)
    else:
        known = torch.where(layout.demand_mean > 0, layout.demand_mean, typical)
        stores = known.expand(past_demand.shape[0], -1)
    scale = stores @ layout.store_share
    return scale.clamp(min=IDLE_SCALE) if layout.has_idle_places else scale
