"""Order up to a quantile of the demand that falls in the lead time: the policy most teams run today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.inventory.feasibility import sum_by_node
from models.inventory.layout import Layout
from models.inventory.observation import Observation
from models.inventory.policies.demand_scale import SMALLEST_SCALE
from quaestor.errors import UsageError


@dataclass(frozen=True)
class NewsvendorParams:
    """`ratio`: the quantile is underage / (underage + holding) and each place orders from its fastest source.
    `learned`: one quantile for stores, one for warehouses and the split over sources are fitted by HDPO.
    """

    kind: Literal["newsvendor"] = "newsvendor"
    quantile: Literal["ratio", "learned"] = "ratio"
    window: int = 16

    def __post_init__(self) -> None:
        if self.window < 2:
            raise ValueError("window must be 2 or more: a spread needs two demands.")


class NewsvendorPolicy(nn.Module):
    """Orders up to mean·(L+1) + z·sd·√(L+1), with the mean and spread of the last `window` demands.

    The newsvendor solution over lead time plus review period for normal demand (Zipkin 2000, "Foundations
    of Inventory Management", section 6.4). A warehouse faces the sum of its stores' demand.
    """

    def __init__(self, params: NewsvendorParams, layout: Layout) -> None:
        super().__init__()
        self.params = params
        if layout.batch > 1 and params.quantile == "ratio":
            raise UsageError(
                "A newsvendor's quantile is a ratio of one network's costs, but each of these scenarios has its own "
                "costs; set quantile = 'learned'."
            )
        fastest = _fastest_source(layout).log().clamp(min=-30)
        underage, holding = (cost.mean(dim=0) for cost in (layout.underage_cost, layout.holding_cost))
        ratio = underage / (underage + holding[layout.warehouses :])
        store_score = torch.special.ndtri(ratio)
        warehouse_score = store_score.mean().expand(layout.warehouses)
        if params.quantile == "ratio":
            self.register_buffer("store_score", store_score)
            self.register_buffer("warehouse_score", warehouse_score.clone())
            self.register_buffer("source_score", fastest)
        else:
            self.store_score = nn.Parameter(store_score.mean().view(1))
            self.warehouse_score = nn.Parameter(torch.zeros(layout.warehouses, dtype=ratio.dtype))
            self.source_score = nn.Parameter(fastest.clamp(min=-2.0))

    @property
    def window(self) -> int:
        """How many past demands it looks at, in periods."""
        return self.params.window

    def forward(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units."""
        weight = self.source_score.exp()
        share = weight / sum_by_node(layout.target, weight[None], layout.nodes)[0, layout.target]
        mean = observation.past_demand.mean(dim=2).clamp(min=SMALLEST_SCALE)
        spread = observation.past_demand.std(dim=2).clamp(min=SMALLEST_SCALE)
        flow = _upstream_flow(layout, share)
        mean = mean @ flow
        spread = (spread.square() @ flow.square()).clamp(min=1e-6).sqrt()
        lead_time = sum_by_node(layout.target, share * layout.lead_time, layout.nodes)
        cover = lead_time[:, : layout.places] + 1
        score = torch.cat((self.warehouse_score, self.store_score.expand(layout.stores)))
        level = mean * cover + score * spread * cover.sqrt()
        position = observation.on_hand + observation.in_transit.sum(dim=2)
        missing = (level - position).clamp(min=0)
        return missing.index_select(1, layout.target) * share


def _fastest_source(layout: Layout) -> Tensor:
    """1 on one edge into each place that is the fastest over all terms, 0 elsewhere, (edge,)."""
    chosen = torch.zeros(layout.edges, dtype=layout.holding_cost.dtype)
    for place in range(layout.places):
        incoming = (layout.target == place).nonzero().flatten()
        chosen[incoming[layout.lead_time[:, incoming].sum(dim=0).argmin()]] = 1.0
    return chosen


def _upstream_flow(layout: Layout, share: Tensor) -> Tensor:
    """The part of each store's demand that passes through each place under a split of orders, (store, place)."""
    flow = torch.eye(layout.nodes, dtype=share.dtype, device=share.device)[layout.warehouses : layout.places]
    total = flow
    for _ in range(layout.depth):
        flow = sum_by_node(layout.source, flow.index_select(1, layout.target) * share, layout.nodes)
        total = total + flow
    return total[:, : layout.places]
