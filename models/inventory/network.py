"""A supply network: who holds stock, who supplies whom, how long it takes and what it costs."""

from __future__ import annotations

import graphlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from quaestor.study import did_you_mean, parse, read_toml


@dataclass(frozen=True)
class Node:
    """A supplier (unlimited stock), a warehouse, a cross-dock (keeps nothing: it ships all it has), or a store
    (where demand arrives).

    Costs are per unit and period: holding on what is left, underage on what was asked for and not there.
    demand_mean, demand_deviation: what is known beforehand of a store's demand, in units a period; 0 where nothing is.
    """

    name: str
    kind: Literal["supplier", "warehouse", "cross_dock", "store"]
    holding_cost: float = 0.0
    underage_cost: float = 0.0
    demand_mean: float = 0.0
    demand_deviation: float = 0.0

    def __post_init__(self) -> None:
        if self.holding_cost < 0 or self.underage_cost < 0:
            raise ValueError(f"node {self.name!r}: costs must be 0 or more.")
        if self.demand_mean < 0 or self.demand_deviation < 0:
            raise ValueError(f"node {self.name!r}: demand_mean and demand_deviation must be 0 or more.")
        if self.kind == "store" and self.underage_cost == 0:
            raise ValueError(f"store {self.name!r} needs an underage_cost above 0, or it would never order.")


@dataclass(frozen=True)
class Edge:
    """Goods ordered by `target` from `source`; what is ordered in period t serves the demand of t + lead_time.

    unit_cost: for each unit. order_cost: for each order, however large.
    """

    source: str
    target: str
    lead_time: int
    unit_cost: float = 0.0
    order_cost: float = 0.0

    def __post_init__(self) -> None:
        name = f"edge {self.source} -> {self.target}"
        if self.lead_time < 1:
            raise ValueError(
                f"{name}: lead_time must be 1 or more, found {self.lead_time}; an order placed in a period "
                "arrives for the next one at the earliest."
            )
        for what in ("unit_cost", "order_cost"):
            if getattr(self, what) < 0:
                raise ValueError(f"{name}: {what} must be 0 or more, found {getattr(self, what)}.")


@dataclass(frozen=True)
class Network:
    """A directed acyclic supply network.

    Places (all nodes but suppliers) are numbered warehouses and cross-docks first, then stores, each in file order;
    suppliers come after them. Edges keep their file order, which is the order of every `edge` axis. whole_units:
    goods come in pieces, so orders are rounded wherever a policy is judged or used.
    """

    name: str
    unmet_demand: Literal["lost", "backlogged"]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    whole_units: bool = False

    def __post_init__(self) -> None:
        names = [node.name for node in self.nodes]
        _refuse_repeated(names, "node")
        _refuse_repeated([f"{edge.source} -> {edge.target}" for edge in self.edges], "edge")
        kinds = {node.name: node.kind for node in self.nodes}
        for edge in self.edges:
            for end in (edge.source, edge.target):
                if end not in kinds:
                    raise ValueError(f"edge {edge.source} -> {edge.target}: no node {end!r}.{did_you_mean(end, names)}")
            if kinds[edge.target] == "supplier":
                raise ValueError(f"edge {edge.source} -> {edge.target}: a supplier orders from nobody.")
        _refuse_cycle(self.edges)
        supplied, supplying = {edge.target for edge in self.edges}, {edge.source for edge in self.edges}
        for node in self.nodes:
            if node.kind != "supplier" and node.name not in supplied:
                raise ValueError(f"{node.kind} {node.name!r} has no supplier: add an edge that ends in it.")
            if node.kind == "cross_dock" and node.name not in supplying:
                raise ValueError(f"cross_dock {node.name!r} supplies nobody: add an edge that leaves it.")
        if self.whole_units and "cross_dock" in kinds.values():
            raise ValueError("goods in whole units cannot be shared out without a rest: remove the cross-dock.")
        if "store" not in kinds.values():
            raise ValueError("a network needs at least one store, where demand arrives.")

    @property
    def warehouses(self) -> tuple[Node, ...]:
        """Nodes between suppliers and stores: warehouses and cross-docks, which see no demand."""
        return tuple(node for node in self.nodes if node.kind in ("warehouse", "cross_dock"))

    @property
    def stores(self) -> tuple[Node, ...]:
        """Nodes that see demand."""
        return tuple(node for node in self.nodes if node.kind == "store")

    @property
    def places(self) -> tuple[Node, ...]:
        """All nodes but suppliers: warehouses and cross-docks, then stores; the order of every `place` axis."""
        return self.warehouses + self.stores

    @property
    def suppliers(self) -> tuple[Node, ...]:
        """Nodes with unlimited stock."""
        return tuple(node for node in self.nodes if node.kind == "supplier")

    @property
    def longest_lead_time(self) -> int:
        """The longest lead time of any edge, in periods: the length of every `lead` axis."""
        return max(edge.lead_time for edge in self.edges)


def read_network(path: Path) -> Network:
    """Reads a network from TOML: a name, what happens to unmet demand, [[nodes]] and [[edges]].

    Raises UsageError for an unknown key, a cycle, a lead time below 1 or an edge to an unknown node.
    """
    return network_from(read_toml(path), str(path))


def network_from(mapping: Mapping[str, Any], where: str) -> Network:
    """Builds a network from a parsed mapping; `where` names its source in messages."""
    return parse(Network, mapping, where)


def _refuse_repeated(names: list[str], what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{what} {name!r} appears {names.count(name)} times; names must differ.")


def _refuse_cycle(edges: tuple[Edge, ...]) -> None:
    upstream: dict[str, set[str]] = {}
    for edge in edges:
        upstream.setdefault(edge.target, set()).add(edge.source)
    try:
        graphlib.TopologicalSorter(upstream).prepare()
    except graphlib.CycleError as error:
        path = " -> ".join(error.args[1])
        raise ValueError(f"the network has a cycle: {path}. Goods must flow one way; remove an edge.") from None
