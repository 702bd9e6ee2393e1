"""A graph neural order policy: messages travel along the network's own edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from models.inventory.layout import Layout
from models.inventory.observation import Observation
from models.inventory.policies.demand_scale import SMALLEST_SCALE, demand_scale
from models.inventory.policies.order_up_to import (
    ANSWERS_PER_EDGE,
    echelon_position,
    order_up_to,
    usual_cover,
)
from quaestor.errors import UsageError


@dataclass(frozen=True)
class GraphParams:
    """The graph policy's size. `window` past periods of demand are seen, and `calendar` known features.

    answer: `level` fills each place's echelon up to a learned level, splits the order over its sources and shares
    what is scarce; `quantity` is a softplus for every edge, as in Alvo et al. (arXiv 2306.11246).
    """

    kind: Literal["graph"] = "graph"
    answer: Literal["level", "quantity"] = "level"
    width: int = 32
    rounds: int = 2
    window: int = 16
    calendar: int = 1

    def __post_init__(self) -> None:
        if min(self.width, self.rounds) < 1 or min(self.window, self.calendar) < 0:
            raise ValueError("width and rounds must be 1 or more, window and calendar 0 or more.")


class Round(MessagePassing):
    """One round of messages: each edge reads its two ends, then each node reads the edges around it."""

    def __init__(self, width: int) -> None:
        super().__init__(aggr="sum", node_dim=-2)
        self.from_source = nn.Linear(width, width)
        self.from_target = nn.Linear(width, width, bias=False)
        self.from_edge = nn.Linear(width, width, bias=False)
        self.edge_out = nn.Linear(width, width)
        self.node_update = nn.Sequential(nn.Linear(3 * width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(
        self, node: Tensor, edge: Tensor, edge_index: Tensor, into: Tensor, out_of: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Updates node (batch, node, width) and edge (batch, edge, width); `into` and `out_of` (node, 1) are
        1/√degree, which keeps sums comparable between networks."""
        # Nodes are projected before they are gathered: there are fewer of them than edge ends.
        hidden = (
            self.from_source(node).index_select(1, edge_index[0])
            + self.from_target(node).index_select(1, edge_index[1])
            + self.from_edge(edge)
        )
        edge = edge + self.edge_out(nn.functional.silu(hidden))
        arriving = self.propagate(edge_index, edge=edge, size=(node.shape[1],) * 2) * into
        leaving = self.propagate(edge_index.flip(0), edge=edge, size=(node.shape[1],) * 2) * out_of
        return node + self.node_update(torch.cat((node, arriving, leaving), dim=-1)), edge

    def message(self, edge: Tensor) -> Tensor:
        """What an edge tells the node at its end."""
        return edge


class GraphPolicy(nn.Module):
    """Orders from message passing over the network; the same weights fit any network
    whose lead times are no longer than `lead_slots` periods.

    All stock and demand features are measured in the place's own demand scale, stock summed up to each slot (what will
    have arrived by then), and that scale in `typical_demand`, so that the policy is equivariant to units: with demand,
    stock and typical_demand times c, orders are times c.
    """

    def __init__(self, params: GraphParams, typical_demand: float, lead_slots: int) -> None:
        super().__init__()
        self.params = params
        self.typical_demand = typical_demand
        self.lead_slots = lead_slots
        width = params.width
        self.node_encoder = nn.Linear(9 + lead_slots + params.window + params.calendar, width)
        self.edge_encoder = nn.Linear(2, width)
        self.rounds = nn.ModuleList(Round(width) for _ in range(params.rounds))
        self.level = _head(width, width, 1)
        answers = ANSWERS_PER_EDGE if params.answer == "level" else 1
        self.edge_answer = _head(3 * width, width, answers)

    @property
    def window(self) -> int:
        """How many past demands it looks at, in periods."""
        return self.params.window

    def forward(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units."""
        scale = demand_scale(layout, observation.past_demand, self.typical_demand)
        position = echelon_position(layout, observation)
        node = self._nodes(layout, observation, scale, position)
        edge = self._edges(layout, observation.on_hand)
        edge_index = torch.stack((layout.source, layout.target))
        into = layout.incoming_edges.clamp(min=1).rsqrt()[:, None]
        out_of = layout.outgoing_edges.clamp(min=1).rsqrt()[:, None]
        for round_ in self.rounds:
            node, edge = round_(node, edge, edge_index, into, out_of)
        places = node[:, : layout.places]
        ends = torch.cat((node.index_select(1, layout.source), node.index_select(1, layout.target), edge), dim=2)
        answer = self.edge_answer(ends)
        if self.params.answer == "quantity":
            return nn.functional.softplus(answer.squeeze(2)) * scale.index_select(1, layout.target)
        return order_up_to(layout, observation, self.level(places).squeeze(2), answer, scale)

    def _nodes(self, layout: Layout, observation: Observation, scale: Tensor, position: Tensor) -> Tensor:
        batch = scale.shape[0]
        spare = self.lead_slots - layout.longest_lead_time
        if spare < 0:
            raise UsageError(
                f"This policy knows lead times up to {self.lead_slots} periods, the network has "
                f"{layout.longest_lead_time}; train it on a network with lead times as long."
            )
        in_transit = nn.functional.pad(observation.in_transit, (0, spare))
        stock = torch.cat((observation.on_hand[:, :, None], in_transit), dim=2)
        usual = torch.arange(1, stock.shape[2] + 1, dtype=stock.dtype, device=stock.device)
        features = [
            stock.cumsum(dim=2) / scale[:, :, None] - usual,
            (position / scale - usual_cover(layout))[:, :, None],
            (scale / max(self.typical_demand, SMALLEST_SCALE)).log()[:, :, None] / 5,
            self._what_stays(layout).expand(batch, -1, -1),
        ]
        if self.params.window:
            past = observation.past_demand / scale[:, layout.warehouses :, None]
            features += [nn.functional.pad(past, (0, 0, layout.warehouses, 0))]
        if self.params.calendar:
            features += [observation.calendar[:, None, :].expand(-1, layout.places, -1)]
        places = self.node_encoder(torch.cat(features, dim=2))
        suppliers = places.new_zeros(batch, layout.nodes - layout.places, self.params.width)
        return torch.cat((places, suppliers), dim=1)

    def _what_stays(self, layout: Layout) -> Tensor:
        """What tells one place from another, in numbers of the order of 1, (batch, place, feature).

        Stores differ in levels through spread and the logarithm of underage over holding cost; a network that sees
        them as shares, which differ by hundredths, learns levels that are nearly alike.
        """
        holding = layout.holding_cost[:, layout.warehouses :]
        missing = (layout.underage_cost / holding.clamp(min=1e-3)).log().clamp(max=7.0) - 2.0
        spread = 4.0 * layout.demand_deviation / layout.demand_mean.clamp(min=SMALLEST_SCALE) - 1.5
        of_stores = (spread, missing, torch.ones_like(spread))
        return torch.stack(
            (
                *(nn.functional.pad(feature, (layout.warehouses, 0)) for feature in of_stores),
                layout.holding_cost,
                layout.keeps.to(spread.dtype).expand_as(layout.holding_cost),
                layout.longest_incoming_lead_time / self.lead_slots,
            ),
            dim=2,
        )

    def _edges(self, layout: Layout, like: Tensor) -> Tensor:
        features = torch.stack((layout.lead_time / self.lead_slots, layout.unit_cost), dim=2)
        return self.edge_encoder(features.to(like.dtype)).expand(like.shape[0], -1, -1)


def _head(inputs: int, width: int, answers: int) -> nn.Sequential:
    """A head that answers nearly 0 before anything is learned, which orders up to about the usual cover."""
    last = nn.Linear(width, answers)
    with torch.no_grad():
        last.weight *= 0.1
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), last)
