"""Order up to a fixed level at each place, measured in the place's own demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.inventory.layout import Layout
from models.inventory.observation import Observation
from models.inventory.policies.demand_scale import demand_scale
from models.inventory.policies.source_split import split_over_sources


@dataclass(frozen=True)
class BaseStockParams:
    """`window` past demands set the scale of the levels; 0 keeps the levels fixed in units."""

    kind: Literal["base_stock"] = "base_stock"
    window: int = 16

    def __post_init__(self) -> None:
        if self.window < 0:
            raise ValueError(f"window must be 0 or more, found {self.window}.")


class BaseStockPolicy(nn.Module):
    """Raises each place's inventory position to its base-stock level and splits the order over its sources.

    Levels and splits are parameters that HDPO fits; with window 0, one place and unmet demand backlogged this
    family contains the optimum (Zipkin 2000, section 9.4).
    """

    def __init__(self, params: BaseStockParams, layout: Layout, typical_demand: float) -> None:
        super().__init__()
        self.params = params
        self.typical_demand = typical_demand
        cover = layout.longest_incoming_lead_time.amax(dim=0).to(layout.holding_cost.dtype) + 1.0
        self.level = nn.Parameter(cover.clone())
        self.source_score = nn.Parameter(torch.zeros(layout.edges, dtype=cover.dtype))

    @property
    def window(self) -> int:
        """How many past demands it looks at, in periods."""
        return self.params.window

    def forward(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units."""
        scale = demand_scale(layout, observation.past_demand, self.typical_demand)
        position = observation.on_hand + observation.in_transit.sum(dim=2)
        missing = (self.level * scale - position).clamp(min=0)
        return split_over_sources(layout, missing, self.source_score)
