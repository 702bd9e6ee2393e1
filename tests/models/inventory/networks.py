"""The networks that tests play on, and a way to draw any other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from hypothesis import strategies as st

from models.inventory.layout import Layout
from models.inventory.network import Edge, Network, Node
from models.inventory.scenarios import Scenarios, scenarios_from_demand

Unmet = Literal["lost", "backlogged"]


def one_store(
    lead_time: int, underage: float, unmet: Unmet, holding: float = 1.0, whole_units: bool = False
) -> Network:
    """One supplier, one store: the instances with a known optimum."""
    nodes = (Node("supplier", "supplier"), Node("store", "store", holding, underage))
    return Network("one-store", unmet, nodes, (Edge("supplier", "store", lead_time),), whole_units)


def two_level(unmet: Unmet = "lost") -> Network:
    """Two warehouses, three stores, seven edges; no two stores alike, one store with two sources."""
    nodes = (
        Node("supplier", "supplier"),
        Node("north", "warehouse", 0.3),
        Node("south", "warehouse", 0.4),
        Node("a", "store", 0.8, 7.0),
        Node("b", "store", 1.0, 9.0),
        Node("c", "store", 1.2, 11.0),
    )
    edges = (
        Edge("supplier", "north", 2, 0.5),
        Edge("supplier", "south", 1, 1.5),
        Edge("north", "a", 3),
        Edge("north", "b", 2),
        Edge("south", "b", 1, 0.2),
        Edge("south", "c", 1),
        Edge("supplier", "c", 3, 2.0),
    )
    return Network("two-level", unmet, nodes, edges)


def gamma_scenarios(layout: Layout, batch: int, periods: int, history: int, seed: int, mean: float = 6.0) -> Scenarios:
    """Continuous demand (no ties, no kinks) with a seasonal calendar of one feature."""
    chance = np.random.default_rng(seed)
    demand = chance.gamma(4.0, mean / 4.0, (batch, layout.stores, history + periods))
    calendar = np.sin(np.arange(history + periods))[:, None]
    return scenarios_from_demand(layout, demand, calendar, history, seed)


@st.composite
def networks(draw: Callable) -> Network:
    """Any acyclic network of up to two suppliers, three warehouses or cross-docks, and four stores; stores may supply
    stores."""
    suppliers = [f"supplier-{index}" for index in range(draw(st.integers(1, 2)))]
    warehouses = [f"warehouse-{index}" for index in range(draw(st.integers(0, 3)))]
    stores = [f"store-{index}" for index in range(draw(st.integers(1, 4)))]
    cost = st.floats(0.0, 3.0, width=32)
    edges: list[Edge] = []
    for index, target in enumerate(places := warehouses + stores):
        upstream = suppliers + places[:index]
        for source in draw(st.lists(st.sampled_from(upstream), min_size=1, max_size=3, unique=True)):
            order_cost = draw(st.sampled_from([0.0, 0.0, 7.5]))
            edges.append(Edge(source, target, draw(st.integers(1, 4)), draw(cost), order_cost))
    supplying = {edge.source for edge in edges}
    nodes = [Node(name, "supplier") for name in suppliers]
    for name in warehouses:
        kind: Literal["warehouse", "cross_dock"] = "warehouse"
        if name in supplying:
            kind = draw(st.sampled_from(["warehouse", "cross_dock"]))
        nodes.append(Node(name, kind, draw(cost)))
    nodes += [Node(name, "store", draw(cost), draw(st.floats(0.5, 12.0, width=32))) for name in stores]
    unmet: Unmet = draw(st.sampled_from(["lost", "backlogged"]))
    return Network("drawn", unmet, tuple(draw(st.permutations(nodes))), tuple(draw(st.permutations(edges))))
