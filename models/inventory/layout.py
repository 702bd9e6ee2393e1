"""A network as tensors: the graph indices that a simulation reads, computed once, and the terms it is played on."""

from __future__ import annotations

import graphlib
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from models.inventory.network import Network


@dataclass(frozen=True)
class Terms:
    """Costs and lead times; the leading axis is 1 where all scenarios share them, and batch where each has its own.

    holding_cost (batch, place), underage_cost (batch, store), unit_cost (batch, edge): per unit (and period, for
    holding). lead_time (batch, edge): periods, 1 to the layout's longest. demand_mean, demand_deviation (batch,
    store): what is known of demand beforehand, units a period; 0 where nothing is.
    """

    holding_cost: Tensor
    underage_cost: Tensor
    unit_cost: Tensor
    lead_time: Tensor
    demand_mean: Tensor
    demand_deviation: Tensor


@dataclass(frozen=True)
class Layout:
    """Index and cost tensors of a network; `place` counts warehouses first, then stores.

    depth: edges on the longest path. ships_between_places: whether any place supplies another. holding_cost,
    underage_cost, unit_cost, lead_time, demand_mean, demand_deviation: the terms (see Terms), whose leading axis is 1
    or batch. order_cost (edge,): of each order, however large; has_order_costs: whether there are any.
    has_idle_places: whether some place serves no store. source, target (edge,): node numbers; a supplier's number is
    `places` or more. keeps (place,): whether what is not shipped stays. arrival_slot (batch, edge): position of an
    edge's order in the flattened (place, lead) pipeline. incoming_edges, outgoing_edges (node,): degrees.
    longest_incoming_lead_time (batch, place): periods. reach (batch, place): periods from a place's order until it can
    serve the furthest demand downstream. through (place, place): the part of what the first receives that passes
    through the second when every place splits its orders evenly over its sources.
    """

    places: int
    stores: int
    nodes: int
    depth: int
    longest_lead_time: int
    unmet_is_lost: bool
    whole_units: bool
    has_cross_docks: bool
    ships_between_places: bool
    has_order_costs: bool
    has_idle_places: bool
    holding_cost: Tensor
    underage_cost: Tensor
    unit_cost: Tensor
    lead_time: Tensor
    demand_mean: Tensor
    demand_deviation: Tensor
    order_cost: Tensor
    source: Tensor
    target: Tensor
    keeps: Tensor
    arrival_slot: Tensor
    incoming_edges: Tensor
    outgoing_edges: Tensor
    longest_incoming_lead_time: Tensor
    reach: Tensor
    through: Tensor

    @property
    def warehouses(self) -> int:
        """How many places see no demand."""
        return self.places - self.stores

    @property
    def edges(self) -> int:
        """How many edges carry orders."""
        return len(self.source)

    @property
    def store_share(self) -> Tensor:
        """The part of each store's demand that passes through each place, (store, place)."""
        return self.through[self.warehouses :]

    @property
    def batch(self) -> int:
        """How many scenarios have terms of their own; 1 where all share them."""
        return len(self.lead_time)

    def rows(self, index: Tensor) -> Layout:
        """The layout of the scenarios with these row numbers; itself where all share their terms."""
        if self.batch == 1:
            return self
        names = (*(field.name for field in fields(Terms)), "arrival_slot", "longest_incoming_lead_time", "reach")
        return replace(self, **{name: getattr(self, name)[index] for name in names})

    def relaxed(self) -> Layout:
        """The same layout for goods that can be divided: rounding has no gradient to learn from."""
        return replace(self, whole_units=False)

    def to(self, device: torch.device | str) -> Layout:
        """The same layout with its tensors on a device."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if isinstance(getattr(self, f.name), Tensor)}
        return replace(self, **{name: tensor.to(device) for name, tensor in tensors.items()})


def layout_of(network: Network, dtype: torch.dtype = torch.float32) -> Layout:
    """Numbers the nodes of a network and gathers its indices and terms."""
    places = network.places
    number = {node.name: index for index, node in enumerate((*places, *network.suppliers))}
    through, depth = _through(network, number)
    source = torch.tensor([number[edge.source] for edge in network.edges])
    target = torch.tensor([number[edge.target] for edge in network.edges])
    terms = Terms(
        holding_cost=torch.tensor([[place.holding_cost for place in places]], dtype=dtype),
        underage_cost=torch.tensor([[store.underage_cost for store in network.stores]], dtype=dtype),
        unit_cost=torch.tensor([[edge.unit_cost for edge in network.edges]], dtype=dtype),
        lead_time=torch.tensor([[edge.lead_time for edge in network.edges]]),
        demand_mean=torch.tensor([[store.demand_mean for store in network.stores]], dtype=dtype),
        demand_deviation=torch.tensor([[store.demand_deviation for store in network.stores]], dtype=dtype),
    )
    bare = Layout(
        places=len(places),
        stores=len(network.stores),
        nodes=len(network.nodes),
        depth=depth,
        longest_lead_time=network.longest_lead_time,
        unmet_is_lost=network.unmet_demand == "lost",
        whole_units=network.whole_units,
        has_cross_docks=any(place.kind == "cross_dock" for place in places),
        ships_between_places=bool((source < len(places)).any()),
        has_order_costs=any(edge.order_cost > 0 for edge in network.edges),
        has_idle_places=bool((through[len(places) - len(network.stores) :].sum(dim=0) == 0).any()),
        **{field.name: getattr(terms, field.name) for field in fields(Terms)},
        order_cost=torch.tensor([edge.order_cost for edge in network.edges], dtype=dtype),
        source=source,
        target=target,
        keeps=torch.tensor([place.kind != "cross_dock" for place in places]),
        arrival_slot=target,
        incoming_edges=torch.bincount(target, minlength=len(number)).to(dtype),
        outgoing_edges=torch.bincount(source, minlength=len(number)).to(dtype),
        longest_incoming_lead_time=target,
        reach=target,
        through=through.to(dtype),
    )
    return with_terms(bare, terms)


def with_terms(layout: Layout, terms: Terms) -> Layout:
    """The same network on other terms, shared by all scenarios or one row for each.

    Raises ValueError for a lead time below 1 or above the layout's longest, which is the length of its pipelines.
    """
    least, most = int(terms.lead_time.min()), int(terms.lead_time.max())
    if least < 1 or most > layout.longest_lead_time:
        raise ValueError(
            f"lead times must lie between 1 and {layout.longest_lead_time}, the network's longest; found {least} to "
            f"{most}. Build the layout from a network with the longest of them."
        )
    batch = max(len(getattr(terms, field.name)) for field in fields(Terms))
    return on_terms(layout, Terms(*(getattr(terms, field.name).expand(batch, -1) for field in fields(Terms))))


def on_terms(layout: Layout, terms: Terms) -> Layout:
    """What `with_terms` gives, for terms of equally many rows whose lead times are known to fit."""
    incoming, reach = _lead_times(layout, terms.lead_time)
    return replace(
        layout,
        **{field.name: getattr(terms, field.name) for field in fields(Terms)},
        arrival_slot=layout.target * layout.longest_lead_time + terms.lead_time - 1,
        longest_incoming_lead_time=incoming,
        reach=reach,
    )


def terms_of(layout: Layout) -> Terms:
    """The terms a layout is on."""
    return Terms(*(getattr(layout, field.name) for field in fields(Terms)))


def _lead_times(layout: Layout, lead_time: Tensor) -> tuple[Tensor, Tensor]:
    """Longest lead time into each place, and from its order to the furthest demand; each (batch, place)."""
    zero = torch.zeros(lead_time.shape[0], layout.nodes, dtype=torch.int64, device=lead_time.device)
    target, source = layout.target.expand_as(lead_time), layout.source.expand_as(lead_time)
    incoming = zero.scatter_reduce(1, target, lead_time, "amax")
    onward = zero
    for _ in range(layout.depth):
        onward = zero.scatter_reduce(1, source, lead_time + onward.gather(1, target), "amax")
    return incoming[:, : layout.places], (incoming + onward)[:, : layout.places]


def _through(network: Network, number: dict[str, int]) -> tuple[Tensor, int]:
    """The even split of what each place receives over the places upstream, and the edges on the longest path."""
    places = len(network.places)
    sources: dict[int, list[int]] = {}
    for edge in network.edges:
        sources.setdefault(number[edge.target], []).append(number[edge.source])
    through = torch.eye(places, dtype=torch.float64)
    upstream_first = list(graphlib.TopologicalSorter(sources).static_order())
    level: dict[int, int] = {}
    for node in upstream_first:
        level[node] = max((level[source] + 1 for source in sources.get(node, ())), default=0)
    for node in reversed(upstream_first):
        for source in sources.get(node, ()):
            if source < places:
                through[:, source] += through[:, node] / len(sources[node])
    return through, max(level.values())
