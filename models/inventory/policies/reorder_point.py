"""Order up to a level only when stock has fallen far enough below it: (s, S)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.inventory.layout import Layout
from models.inventory.observation import Observation
from models.inventory.policies.demand_scale import demand_scale
from models.inventory.policies.source_split import split_over_sources

BLUR = 0.2
"""Width over which the decision to order is blurred for the gradient alone, in gaps."""

SMALLEST_GAP = 0.1
"""The gap below which the blur stays as it is, in demand scales."""


@dataclass(frozen=True)
class ReorderPointParams:
    """`window` past demands set the scale of levels and gaps; 0 keeps them fixed in units."""

    kind: Literal["reorder_point"] = "reorder_point"
    window: int = 16

    def __post_init__(self) -> None:
        if self.window < 0:
            raise ValueError(f"window must be 0 or more, found {self.window}.")


class ReorderPointPolicy(nn.Module):
    """Orders up to S once the inventory position is at s = S − gap or below, and splits it over the sources.

    Optimal for one store with a fixed cost per order (Scarf 1960). Whether to order is a jump: S has the pathwise
    gradient, while the gap has the gradient of a logistic blur of the jump (straight through), which is biased: least
    where a gap covers the demand of several periods, most where nearly every period orders.
    level (place,) stretches lead time plus one period of demand; gap (place,) is in demand scales.
    """

    def __init__(self, params: ReorderPointParams, layout: Layout, typical_demand: float) -> None:
        super().__init__()
        self.params = params
        self.typical_demand = typical_demand
        self.level = nn.Parameter(torch.ones(layout.places))
        self.gap = nn.Parameter(torch.ones(layout.places))
        self.source_score = nn.Parameter(torch.zeros(layout.edges))

    @property
    def window(self) -> int:
        """How many past demands it looks at, in periods."""
        return self.params.window

    def forward(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units."""
        missing, excess = self._missing(layout, observation)
        decided = (excess >= 0).to(missing.dtype)
        if torch.is_grad_enabled():
            blurred = self._blurred(excess)
            decided = decided + blurred - blurred.detach()
        return split_over_sources(layout, missing * decided, self.source_score)

    def nearness(self, layout: Layout, observation: Observation) -> Tensor:
        """A blur of the decision to order, from 0 to 1, (batch, edge)."""
        return self._blurred(self._missing(layout, observation)[1]).index_select(1, layout.target)

    def _missing(self, layout: Layout, observation: Observation) -> tuple[Tensor, Tensor]:
        """Units below S, and demand scales below s, (batch, place)."""
        scale = demand_scale(layout, observation.past_demand, self.typical_demand)
        position = observation.on_hand + observation.in_transit.sum(dim=2)
        missing = (self.level * (layout.longest_incoming_lead_time + 1) * scale - position).clamp(min=0)
        return missing, missing / scale - self.gap.clamp(min=0)

    def _blurred(self, excess: Tensor) -> Tensor:
        return torch.sigmoid(excess / (BLUR * self.gap.detach().clamp(min=SMALLEST_GAP)))
