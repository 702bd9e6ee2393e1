"""Order up to a fixed echelon level at each place: what is there, on its way and downstream counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.inventory.layout import Layout
from models.inventory.observation import Observation
from models.inventory.policies.demand_scale import demand_scale
from models.inventory.policies.order_up_to import echelon_position, usual_cover
from models.inventory.policies.source_split import split_over_sources


@dataclass(frozen=True)
class EchelonBaseStockParams:
    """`window` past demands set the scale of the levels; 0 keeps the levels fixed in units."""

    kind: Literal["echelon_base_stock"] = "echelon_base_stock"
    window: int = 16

    def __post_init__(self) -> None:
        if self.window < 0:
            raise ValueError(f"window must be 0 or more, found {self.window}.")


class EchelonBaseStockPolicy(nn.Module):
    """Raises each place's echelon inventory position to its level and splits the order over its sources.

    With window 0, a chain of places and unmet demand backlogged this family contains the optimum (Clark and Scarf
    1960). level (place,) stretches the usual cover of the echelon.
    """

    def __init__(self, params: EchelonBaseStockParams, layout: Layout, typical_demand: float) -> None:
        super().__init__()
        self.params = params
        self.typical_demand = typical_demand
        self.level = nn.Parameter(torch.ones(layout.places))
        self.source_score = nn.Parameter(torch.zeros(layout.edges))

    @property
    def window(self) -> int:
        """How many past demands it looks at, in periods."""
        return self.params.window

    def forward(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units."""
        scale = demand_scale(layout, observation.past_demand, self.typical_demand)
        level = self.level * usual_cover(layout) * scale
        wanted = (level - echelon_position(layout, observation)).clamp(min=0)
        return split_over_sources(layout, wanted, self.source_score)
