"""The problem classes of Alvo et al. (arXiv 2306.11246) as networks over the one simulator, with their demand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from models.inventory.demand_law import DemandLaw
from models.inventory.network import Edge, Network, Node
from quaestor.randomness import generator

SUPPLIER = Node("supplier", "supplier")
SERIAL_HOLDING = (0.1, 0.2, 0.5, 1.0)
SERIAL_LEAD_TIMES = (2, 4, 3)


@dataclass(frozen=True)
class Instance:
    """A network and the law of its demand."""

    network: Network
    demand: DemandLaw


def one_store_lost(lead_time: int, underage: float) -> Instance:
    """Poisson demand of 5 a period, whole units, unmet demand lost; holding costs 1."""
    nodes = (SUPPLIER, Node("store", "store", 1.0, underage, 5.0, 5.0**0.5))
    network = Network("one-store-lost", "lost", nodes, (Edge("supplier", "store", lead_time),), whole_units=True)
    return Instance(network, DemandLaw("poisson", (5.0,)))


def one_store_backlogged(lead_time: int, underage: float) -> Instance:
    """Demand N(5, 1.6) clipped at 0, unmet demand backlogged; holding costs 1."""
    nodes = (SUPPLIER, Node("store", "store", 1.0, underage, 5.0, 1.6))
    network = Network("one-store-backlogged", "backlogged", nodes, (Edge("supplier", "store", lead_time),))
    return Instance(network, DemandLaw("normal", (5.0,), (1.6,)))


def serial(lead_time: int, underage: float) -> Instance:
    """Two echelons, a warehouse and a store `lead_time` periods from it; demand N(5, 2) clipped at 0, backlogged."""
    names = ("far", "near", "warehouse", "store")
    places = [Node(name, "warehouse", cost) for name, cost in zip(names[:-1], SERIAL_HOLDING, strict=False)]
    store = Node("store", "store", SERIAL_HOLDING[-1], underage, 5.0, 2.0)
    edges = tuple(
        Edge(source, target, lead)
        for source, target, lead in zip(("supplier", *names[:-1]), names, (*SERIAL_LEAD_TIMES, lead_time), strict=True)
    )
    return Instance(
        Network("serial", "backlogged", (SUPPLIER, *places, store), edges), DemandLaw("normal", (5.0,), (2.0,))
    )


def one_warehouse_lost(stores: int, seed: int) -> Instance:
    """One warehouse, `stores` stores 2 or 3 periods from it; costs and demand drawn by `seed`, unmet demand lost."""
    chance = generator(seed, "one warehouse")
    demand = _demand(stores, chance, 0.5, True)
    shops = _stores(demand, chance)
    edges = (Edge("supplier", "warehouse", 3), *_edges("warehouse", shops, chance.integers(2, 4, stores)))
    nodes = (SUPPLIER, Node("warehouse", "warehouse", 0.3), *shops)
    return Instance(Network(f"one-warehouse-{stores}", "lost", nodes, edges), demand)


def transshipment(stores: int, lead_time: int, underage: float, correlation: float, seed: int) -> Instance:
    """A cross-dock that keeps nothing before `stores` equal-cost stores; normal demand not clipped, backlogged."""
    demand = _demand(stores, generator(seed, "transshipment"), correlation, False)
    shops = tuple(
        Node(f"store-{k}", "store", 1.0, underage, mean, deviation)
        for k, (mean, deviation) in enumerate(zip(demand.mean, demand.deviation, strict=True))
    )
    edges = (Edge("supplier", "dock", 3), *_edges("dock", shops, [lead_time] * stores))
    nodes = (SUPPLIER, Node("dock", "cross_dock"), *shops)
    return Instance(Network(f"transshipment-{stores}", "backlogged", nodes, edges), demand)


def many_warehouses_lost(seed: int) -> Instance:
    """Two warehouses, ten stores, 15 edges between them: cheap and slow, dear and fast; unmet demand lost."""
    chance = generator(seed, "many warehouses")
    demand = _demand(10, chance, 0.5, True)
    shops = _stores(demand, chance)
    slow, fast = shops[:8], shops[3:]
    edges = (
        Edge("supplier", "slow", 3, 0.5),
        Edge("supplier", "fast", 3, 1.5),
        *_edges("slow", slow, chance.integers(5, 7, len(slow))),
        *_edges("fast", fast, chance.integers(1, 3, len(fast))),
    )
    nodes = (SUPPLIER, Node("slow", "warehouse", 0.3), Node("fast", "warehouse", 0.4), *shops)
    return Instance(Network("many-warehouses", "lost", nodes, edges), demand)


def _demand(stores: int, chance: np.random.Generator, correlation: float, clipped: bool) -> DemandLaw:
    """Normal demand, means from U[2.5, 7.5], deviations 0.25 to 0.5 of the mean."""
    mean = chance.uniform(2.5, 7.5, stores).round(4)
    deviation = (mean * chance.uniform(0.25, 0.5, stores)).round(4)
    return DemandLaw("normal", tuple(mean.tolist()), tuple(deviation.tolist()), correlation, clipped)


def _stores(demand: DemandLaw, chance: np.random.Generator) -> tuple[Node, ...]:
    """Stores with holding costs from U[0.7, 1.3] and underage costs from U[6.3, 11.7]."""
    holding = chance.uniform(0.7, 1.3, demand.stores).round(4).tolist()
    underage = chance.uniform(6.3, 11.7, demand.stores).round(4).tolist()
    known = zip(holding, underage, demand.mean, demand.deviation, strict=True)
    return tuple(Node(f"store-{k}", "store", *figures) for k, figures in enumerate(known))


def _edges(source: str, stores: Sequence[Node], lead_times: Iterable[int]) -> tuple[Edge, ...]:
    return tuple(Edge(source, store.name, int(lead)) for store, lead in zip(stores, lead_times, strict=True))
