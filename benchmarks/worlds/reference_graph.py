"""The message passing of Alvo et al. (arXiv 2306.11246) at its published size, to compare speeds on equal terms.

Five perceptrons with two hidden layers of 32 encode places and edges, update them once and answer on every edge; each
place has an edge to itself, too, whose answer says what it keeps. 180,288 multiplications a scenario and period for one
warehouse with five stores, where every edge reads its ends in one product; here ends are projected before they are
gathered, which gives the same with fewer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.inventory.feasibility import sum_by_node
from models.inventory.layout import Layout
from models.inventory.observation import Observation

WIDTH = 32
TERMS = 3  # holding cost, underage cost and longest lead time of a place, beside its stock


class ReferenceGraph(nn.Module):
    """Orders from one round of messages; for networks whose lead times are at most `lead_slots` periods."""

    window = 0

    def __init__(self, lead_slots: int) -> None:
        super().__init__()
        self.node_encoder = _perceptron(1 + lead_slots + TERMS, WIDTH)
        self.edge_ends = _Ends()
        self.edge_encoder = _following(nn.Linear(1, WIDTH), WIDTH)
        self.update_ends = _Ends()
        self.edge_update = _following(nn.Linear(WIDTH, WIDTH), WIDTH)
        self.node_update = _perceptron(3 * WIDTH, WIDTH)
        self.answer = _perceptron(WIDTH, 1)

    def forward(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units."""
        itself = torch.arange(layout.places, device=layout.source.device)
        source, target = torch.cat((layout.source, itself)), torch.cat((layout.target, itself))
        places = self.node_encoder(self._seen(layout, observation))
        node = nn.functional.pad(places, (0, 0, 0, layout.nodes - layout.places))
        lead_time = nn.functional.pad(layout.lead_time, (0, layout.places))[:, :, None].to(node.dtype)
        first, *rest = self.edge_encoder
        edge = rest[0](first(lead_time) + self.edge_ends(node, source, target))
        first, *rest = self.edge_update
        edge = edge + rest[0](first(edge) + self.update_ends(node, source, target))
        arriving, leaving = (
            node.new_zeros(node.shape).index_add(1, end, edge)[:, : layout.places]
            * (degree[: layout.places, None] + 1).rsqrt()
            for end, degree in ((target, layout.incoming_edges), (source, layout.outgoing_edges))
        )
        places = places + self.node_update(torch.cat((places, arriving, leaving), dim=2))
        said = edge + nn.functional.pad(places, (0, 0, 0, layout.nodes - layout.places)).index_select(1, target)
        quantity = nn.functional.softplus(self.answer(said).squeeze(2))
        wanted, kept = quantity.split((layout.edges, layout.places), dim=1)
        asked = sum_by_node(layout.source, wanted, layout.nodes)
        kept = nn.functional.pad(kept, (0, layout.nodes - layout.places))
        return wanted * (asked / (asked + kept)).index_select(1, layout.source)

    def _seen(self, layout: Layout, observation: Observation) -> Tensor:
        underage = nn.functional.pad(layout.underage_cost, (layout.warehouses, 0))
        terms = torch.stack((layout.holding_cost, underage, layout.longest_incoming_lead_time), dim=2)
        stock = (observation.on_hand[:, :, None], observation.in_transit)
        return torch.cat((*stock, terms.to(stock[0].dtype).expand(len(stock[0]), -1, -1)), dim=2)


class _Ends(nn.Module):
    """What an edge reads of its two ends."""

    def __init__(self) -> None:
        super().__init__()
        self.of_source = nn.Linear(WIDTH, WIDTH, bias=False)
        self.of_target = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, node: Tensor, source: Tensor, target: Tensor) -> Tensor:
        return self.of_source(node).index_select(1, source) + self.of_target(node).index_select(1, target)


def multiplications(layout: Layout) -> list[tuple[int, int, int]]:
    """Rows, inputs and outputs of its products where every edge reads its ends at once."""
    places, edges = layout.places, layout.edges + layout.places
    features = 1 + layout.longest_lead_time + TERMS
    firsts = [(places, features), (edges, 2 * WIDTH + 1), (places, 3 * WIDTH), (edges, 3 * WIDTH), (edges, WIDTH)]
    hidden = [(rows, WIDTH, WIDTH) for rows, _ in firsts for _ in range(2)]
    hidden[-1:] = [(edges, WIDTH, 1)]
    return [*[(rows, inputs, WIDTH) for rows, inputs in firsts], *hidden]


def _perceptron(inputs: int, outputs: int) -> nn.Sequential:
    hidden = (nn.Linear(inputs, WIDTH), nn.ELU(), nn.Linear(WIDTH, WIDTH), nn.ELU())
    return nn.Sequential(*hidden, nn.Linear(WIDTH, outputs))


def _following(first: nn.Linear, outputs: int) -> nn.ModuleList:
    """A first layer whose sum other parts are added to, and what follows it."""
    rest = nn.Sequential(nn.ELU(), nn.Linear(WIDTH, WIDTH), nn.ELU(), nn.Linear(WIDTH, outputs))
    return nn.ModuleList((first, rest))
