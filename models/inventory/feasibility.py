"""What can be shipped: nobody ships stock that is not there, and a cross-dock ships all it has."""

from __future__ import annotations

import torch
from torch import Tensor

from models.inventory.layout import Layout

NEARLY = 1e-4
"""Units by which float arithmetic may miss a whole number."""

UNASKED = 1e-6
"""Units added to what is asked of a cross-dock on each edge, so that it parts with its goods when nobody asks."""


def ration(layout: Layout, desired: Tensor, on_hand: Tensor) -> Tensor:
    """Feasible orders (batch, edge): what is asked of each place times min(1, on hand / asked), in proportion.

    desired (batch, edge) in units, 0 or more; on_hand (batch, place). Suppliers are unlimited; a cross-dock shares
    out all it has. Where goods come in pieces, whole pieces are asked for and shipped. The proportional allocation
    of Alvo et al. (arXiv 2306.11246, section 4).
    """
    if layout.whole_units:
        desired = desired.round()
    if not layout.ships_between_places:
        return desired
    if layout.has_cross_docks:
        keeps = torch.cat((layout.keeps, layout.keeps.new_ones(layout.nodes - layout.places)))
        desired = desired + UNASKED * (~keeps.index_select(0, layout.source)).to(desired.dtype)
    asked = sum_by_node(layout.source, desired, layout.nodes)
    available = on_hand.clamp(min=0)
    ratio = available / asked[:, : layout.places].clamp(min=1e-9)
    share = torch.where(layout.keeps, ratio.clamp(max=1), ratio) if layout.has_cross_docks else ratio.clamp(max=1)
    unlimited = share.new_ones(share.shape[0], layout.nodes - layout.places)
    share = torch.cat((share, unlimited), dim=1)
    orders = desired * share.index_select(1, layout.source)
    return (orders + NEARLY).floor() if layout.whole_units else orders


def sum_by_node(node: Tensor, values: Tensor, nodes: int) -> Tensor:
    """Sums values (batch, edge) by the node number of each edge; (batch, node)."""
    return values.new_zeros(values.shape[0], nodes).index_add(1, node, values)
