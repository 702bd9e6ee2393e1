"""Order up to a fixed level at each place, and never more than a cap at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.inventory.layout import Layout
from models.inventory.observation import Observation
from models.inventory.policies.demand_scale import demand_scale
from models.inventory.policies.source_split import split_over_sources

USUAL_CAP = 1.5
"""The cap before anything is learned, in demand scales."""


@dataclass(frozen=True)
class CappedBaseStockParams:
    """`window` past demands set the scale of levels and caps; 0 keeps them fixed in units."""

    kind: Literal["capped_base_stock"] = "capped_base_stock"
    window: int = 16

    def __post_init__(self) -> None:
        if self.window < 0:
            raise ValueError(f"window must be 0 or more, found {self.window}.")


class CappedBaseStockPolicy(nn.Module):
    """Orders min(cap, level − inventory position) where that is above 0, and splits it over the place's sources.

    The cap keeps a lost sale from being ordered again at once, which makes this family strong where unmet demand is
    lost and lead times are long (Xin 2021, "Understanding the performance of capped base-stock policies in lost-sales
    inventory models"). level (place,) stretches lead time plus one period of demand; cap (place,) is in demand scales.
    """

    def __init__(self, params: CappedBaseStockParams, layout: Layout, typical_demand: float) -> None:
        super().__init__()
        self.params = params
        self.typical_demand = typical_demand
        self.level = nn.Parameter(torch.ones(layout.places))
        self.cap = nn.Parameter(torch.full((layout.places,), USUAL_CAP))
        self.source_score = nn.Parameter(torch.zeros(layout.edges))

    @property
    def window(self) -> int:
        """How many past demands it looks at, in periods."""
        return self.params.window

    def forward(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units."""
        scale = demand_scale(layout, observation.past_demand, self.typical_demand)
        position = observation.on_hand + observation.in_transit.sum(dim=2)
        level = self.level * (layout.longest_incoming_lead_time + 1) * scale
        wanted = torch.minimum((level - position).clamp(min=0), self.cap.clamp(min=0) * scale)
        return split_over_sources(layout, wanted, self.source_score)
