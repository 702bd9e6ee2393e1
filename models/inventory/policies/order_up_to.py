"""How a learned level becomes orders: each place fills its echelon up to it and splits the order over its sources."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.inventory.feasibility import sum_by_node
from models.inventory.layout import Layout
from models.inventory.observation import Observation

SHARPNESS = 16.0
"""How sharply an order ends at 0, in orders per unit of demand scale; a gradient remains on the other side."""


def echelon_position(layout: Layout, observation: Observation) -> Tensor:
    """Stock of each place and of all places downstream of it, on hand and in transit, in units; (batch, place).

    What several sources share is counted at each by the even split of `Layout.through`. The echelon inventory
    position of Clark and Scarf (1960), with which optimal policies of serial systems are order-up-to policies.
    """
    return (observation.on_hand + observation.in_transit.sum(dim=2)) @ layout.through


def usual_cover(layout: Layout) -> Tensor:
    """Periods of demand that an echelon covers before anything is learned, (batch, place)."""
    return layout.reach + 1.5


def order_up_to(layout: Layout, level: Tensor, split: Tensor, position: Tensor, scale: Tensor) -> Tensor:
    """Desired orders (batch, edge), in units: level minus position where that is above 0, split over sources.

    level (batch, place): how far the usual cover is stretched, as a logarithm. split (batch, edge): logits.
    position (batch, place): echelon position in units. scale (batch, place): demand through each place.
    """
    target = usual_cover(layout) * torch.exp(level.clamp(-3, 3))
    missing = nn.functional.softplus(SHARPNESS * (target - position / scale)) / SHARPNESS * scale
    wanted = missing.index_select(1, layout.target)
    if layout.edges == layout.places:  # every place has one source
        return wanted
    weight = split.clamp(-15, 15).exp()
    total = sum_by_node(layout.target, weight, layout.nodes)
    return wanted * weight / total.index_select(1, layout.target)
