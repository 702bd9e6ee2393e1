"""How learned levels become orders: each place fills its echelon, splits its order, and scarce stock is shared."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.inventory.feasibility import sum_by_node
from models.inventory.layout import Layout
from models.inventory.observation import Observation

SHARPNESS = 16.0
"""How sharply an order ends at 0, in orders per unit of demand scale; a gradient remains on the other side."""

ANSWERS_PER_EDGE = 2
"""How its target splits an order over its sources, and how its source shares what is scarce."""


def echelon_position(layout: Layout, observation: Observation) -> Tensor:
    """Stock of each place and of all places downstream of it, on hand and in transit, in units; (batch, place).

    What several sources share is counted at each by the even split of `Layout.through`. The echelon inventory
    position of Clark and Scarf (1960), with which optimal policies of serial systems are order-up-to policies.
    """
    return (observation.on_hand + observation.in_transit.sum(dim=2)) @ layout.through


def usual_cover(layout: Layout) -> Tensor:
    """Periods of demand that an echelon covers before anything is learned, (batch, place)."""
    return layout.reach + 1.5


def order_up_to(layout: Layout, observation: Observation, level: Tensor, edges: Tensor, scale: Tensor) -> Tensor:
    """Desired orders (batch, edge), in units: level minus echelon position where that is above 0.

    level (batch, place): how far the usual cover is stretched, as a logarithm. edges (batch, edge, answer): logits of
    the split over sources and of the shares of scarcity. scale (batch, place): demand through each place, in units.
    What is asked of a place beyond its stock is taken back in shares, and what a cross-dock has beyond it is given
    out in the same shares: the linear rule that keeps stores in balance (Eppen and Schrage 1981).
    """
    target = usual_cover(layout) * torch.exp(level.clamp(-3, 3)) * scale
    missing = (target - echelon_position(layout, observation)).index_select(1, layout.target)
    size = scale.index_select(1, layout.target)
    if layout.edges > layout.places:
        missing = missing * _shares(layout.target, layout.nodes, edges[:, :, 0])
    if not layout.ships_between_places:
        return _above_zero(missing, size)
    wanted = _above_zero(missing, size)
    if layout.has_cross_docks:
        kept = nn.functional.pad(layout.keeps, (0, layout.nodes - layout.places), value=True)
        wanted = torch.where(kept.index_select(0, layout.source), wanted, missing)
    asked = sum_by_node(layout.source, wanted, layout.nodes)[:, : layout.places]
    short = asked - observation.on_hand.clamp(min=0)
    short = torch.where(layout.keeps, short.clamp(min=0), short) if layout.has_cross_docks else short.clamp(min=0)
    short = nn.functional.pad(short, (0, layout.nodes - layout.places)).index_select(1, layout.source)
    share = _shares(layout.source, layout.nodes, edges[:, :, 1] + size.log())
    return _above_zero(wanted - short * share, size)


def _above_zero(quantity: Tensor, size: Tensor) -> Tensor:
    """Smoothly max(quantity, 0), on the scale of `size`; all (batch, edge), in units."""
    return nn.functional.softplus(SHARPNESS * quantity / size) / SHARPNESS * size


def _shares(node: Tensor, nodes: int, logits: Tensor) -> Tensor:
    """Shares of the edges at each node, which sum to 1 there; (batch, edge)."""
    weight = logits.clamp(-15, 15).exp()
    return weight / sum_by_node(node, weight, nodes).index_select(1, node)
