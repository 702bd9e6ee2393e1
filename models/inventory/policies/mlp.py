"""A multilayer perceptron over the whole observation of one network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.inventory.layout import Layout
from models.inventory.observation import Observation
from models.inventory.policies.demand_scale import demand_scale
from models.inventory.policies.order_up_to import ANSWERS_PER_EDGE, order_up_to


@dataclass(frozen=True)
class MLPParams:
    """Size of the perceptron: `hidden` layers of `width`; `window` past demands and `calendar` features seen.

    terms: whether costs and lead times are seen, for scenarios that each have their own.
    """

    kind: Literal["mlp"] = "mlp"
    width: int = 32
    hidden: int = 3
    window: int = 16
    calendar: int = 1
    terms: bool = False

    def __post_init__(self) -> None:
        if min(self.width, self.hidden) < 1 or min(self.window, self.calendar) < 0:
            raise ValueError("width and hidden must be 1 or more, window and calendar 0 or more.")


class MLPPolicy(nn.Module):
    """Orders of one fixed network from its flattened observation, in each place's demand scale.

    Pipelines are seen summed up to each slot (what will have arrived by then); the answer is a level to fill each
    place's echelon up to, how each place splits its order, and how scarce stock is shared.
    """

    def __init__(self, params: MLPParams, layout: Layout, typical_demand: float) -> None:
        super().__init__()
        self.params = params
        self.typical_demand = typical_demand
        inputs = layout.places * (1 + layout.longest_lead_time)
        inputs += layout.stores * (params.window + (1 if params.window else 0)) + params.calendar
        inputs += (layout.places + layout.stores + 2 * layout.edges) * params.terms
        layers: list[nn.Module] = []
        for _ in range(params.hidden):
            layers += [nn.Linear(inputs, params.width), nn.ELU()]
            inputs = params.width
        self.body = nn.Sequential(*layers)
        self.level = nn.Linear(inputs, layout.places)
        self.edges = nn.Linear(inputs, layout.edges * ANSWERS_PER_EDGE)
        for head in (self.level, self.edges):  # what it starts from is an order-up-to policy
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    @property
    def window(self) -> int:
        """How many past demands it looks at, in periods."""
        return self.params.window

    def forward(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units."""
        scale = demand_scale(layout, observation.past_demand, self.typical_demand)
        stores = scale[:, layout.warehouses :]
        stock = torch.cat((observation.on_hand[:, :, None], observation.in_transit), dim=2).cumsum(dim=2)
        usual = torch.arange(1, stock.shape[2] + 1, dtype=stock.dtype, device=stock.device)
        parts = [(stock / scale[:, :, None] - usual).flatten(1)]
        if self.params.calendar:
            parts += [observation.calendar]
        if self.params.terms:
            parts += [_terms(layout).expand(scale.shape[0], -1)]
        if self.params.window:
            parts += [(observation.past_demand / stores[:, :, None]).flatten(1), stores.log() / 5]
        hidden = self.body(torch.cat(parts, dim=1))
        edges = self.edges(hidden).unflatten(1, (layout.edges, ANSWERS_PER_EDGE))
        return order_up_to(layout, observation, self.level(hidden), edges, scale)


def _terms(layout: Layout) -> Tensor:
    """Costs and lead times of each scenario, (batch, term): the size of a pipeline is 1."""
    underage = layout.underage_cost / (layout.underage_cost + layout.holding_cost[:, layout.warehouses :])
    lead_time = layout.lead_time / layout.longest_lead_time
    return torch.cat((layout.holding_cost, underage, layout.unit_cost, lead_time), dim=1)
