"""A network as tensors: the graph indices and costs that a simulation reads, computed once."""

from __future__ import annotations

import graphlib
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from models.inventory.network import Network


@dataclass(frozen=True)
class Layout:
    """Index and cost tensors of a network; `place` counts warehouses first, then stores.

    holding_cost (place,), underage_cost (store,), unit_cost (edge,): per unit (and period, for holding). source,
    target (edge,): node numbers; a supplier's number is `places` or more. depth: edges on the longest path.
    lead_time (edge,): periods. arrival_slot (edge,): position of an edge's order in the flattened (place, lead)
    pipeline. incoming_edges, outgoing_edges (node,): degrees. longest_incoming_lead_time (place,): periods.
    store_share (store, place): the part of a store's demand that passes through each place when every node splits
    its orders evenly over its sources.
    """

    places: int
    stores: int
    nodes: int
    depth: int
    longest_lead_time: int
    unmet_is_lost: bool
    holding_cost: Tensor
    underage_cost: Tensor
    unit_cost: Tensor
    source: Tensor
    target: Tensor
    lead_time: Tensor
    arrival_slot: Tensor
    incoming_edges: Tensor
    outgoing_edges: Tensor
    longest_incoming_lead_time: Tensor
    store_share: Tensor

    @property
    def warehouses(self) -> int:
        """How many places see no demand."""
        return self.places - self.stores

    @property
    def edges(self) -> int:
        """How many edges carry orders."""
        return len(self.source)

    def to(self, device: torch.device | str) -> Layout:
        """The same layout with its tensors on a device."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if isinstance(getattr(self, f.name), Tensor)}
        return replace(self, **{name: tensor.to(device) for name, tensor in tensors.items()})


def layout_of(network: Network, dtype: torch.dtype = torch.float32) -> Layout:
    """Numbers the nodes of a network and gathers its indices and costs."""
    places = network.places
    number = {node.name: index for index, node in enumerate((*places, *network.suppliers))}
    longest = network.longest_lead_time
    share, depth = _store_share(network, number)
    source = torch.tensor([number[edge.source] for edge in network.edges])
    target = torch.tensor([number[edge.target] for edge in network.edges])
    lead_time = torch.tensor([edge.lead_time for edge in network.edges])
    return Layout(
        places=len(places),
        stores=len(network.stores),
        nodes=len(network.nodes),
        depth=depth,
        longest_lead_time=longest,
        unmet_is_lost=network.unmet_demand == "lost",
        holding_cost=torch.tensor([place.holding_cost for place in places], dtype=dtype),
        underage_cost=torch.tensor([store.underage_cost for store in network.stores], dtype=dtype),
        unit_cost=torch.tensor([edge.unit_cost for edge in network.edges], dtype=dtype),
        source=source,
        target=target,
        lead_time=lead_time,
        arrival_slot=target * longest + lead_time - 1,
        incoming_edges=torch.bincount(target, minlength=len(number)).to(dtype),
        outgoing_edges=torch.bincount(source, minlength=len(number)).to(dtype),
        longest_incoming_lead_time=torch.zeros(len(places), dtype=torch.int64).scatter_reduce(
            0, target, lead_time, "amax"
        ),
        store_share=share.to(dtype),
    )


def _store_share(network: Network, number: dict[str, int]) -> tuple[Tensor, int]:
    """The even split of each store's demand over the places upstream, and the number of edges on the longest path."""
    places, stores = len(network.places), len(network.stores)
    sources: dict[int, list[int]] = {}
    for edge in network.edges:
        sources.setdefault(number[edge.target], []).append(number[edge.source])
    share = torch.zeros(stores, places, dtype=torch.float64)
    share[:, places - stores :] = torch.eye(stores, dtype=torch.float64)
    upstream_first = list(graphlib.TopologicalSorter(sources).static_order())
    level: dict[int, int] = {}
    for node in upstream_first:
        level[node] = max((level[source] + 1 for source in sources.get(node, ())), default=0)
    for node in reversed(upstream_first):
        for source in sources.get(node, ()):
            if source < places:
                share[:, source] += share[:, node] / len(sources[node])
    return share, max(level.values())
