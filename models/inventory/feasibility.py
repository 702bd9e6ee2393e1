"""What can be shipped: nobody ships stock that is not there."""

from __future__ import annotations

import torch
from torch import Tensor

from models.inventory.layout import Layout


def ration(layout: Layout, desired: Tensor, on_hand: Tensor) -> Tensor:
    """Scales what is asked of each place by min(1, on hand / asked), in proportion; (batch, edge).

    desired (batch, edge) in units, 0 or more; on_hand (batch, place). Suppliers are unlimited.
    The proportional allocation of Alvo et al. (arXiv 2306.11246, section 4).
    """
    asked = sum_by_node(layout.source, desired, layout.nodes)
    available = on_hand.clamp(min=0)
    share = (available / asked[:, : layout.places].clamp(min=1e-9)).clamp(max=1)
    unlimited = share.new_ones(share.shape[0], layout.nodes - layout.places)
    share = torch.cat((share, unlimited), dim=1)
    return desired * share.index_select(1, layout.source)


def sum_by_node(node: Tensor, values: Tensor, nodes: int) -> Tensor:
    """Sums values (batch, edge) by the node number of each edge; (batch, node)."""
    return values.new_zeros(values.shape[0], nodes).index_add(1, node, values)
