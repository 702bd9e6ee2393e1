"""How a place with several sources divides what it needs among them."""

from __future__ import annotations

from torch import Tensor

from models.inventory.feasibility import sum_by_node
from models.inventory.layout import Layout


def split_over_sources(layout: Layout, wanted: Tensor, score: Tensor) -> Tensor:
    """What each edge should carry, in units, (batch, edge), of what each place wants, (batch, place).

    score (edge,): a source's part is in proportion to the exponential of its edge's score.
    """
    weight = score.exp()
    share = weight / sum_by_node(layout.target, weight[None], layout.nodes)[0, layout.target]
    return wanted.index_select(1, layout.target) * share
