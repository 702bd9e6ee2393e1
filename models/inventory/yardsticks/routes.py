"""The ways goods can take to a store, as a relaxation of the network sees them."""

from __future__ import annotations

from dataclasses import dataclass

from models.inventory.network import Network


@dataclass(frozen=True)
class Route:
    """The last edge of a way to a store. unit_cost: of the cheapest path from a supplier over this edge, per unit.

    holding: of the source, per unit and period, 0 at a supplier. memory: periods of demand its price may move with.
    """

    source: str
    lead_time: int
    unit_cost: float
    holding: float
    memory: int = 0


def routes_to(network: Network, store: str) -> tuple[Route, ...]:
    """One route for each edge that ends in a store."""
    holding = {node.name: node.holding_cost for node in network.nodes if node.kind == "warehouse"}
    return tuple(
        Route(
            edge.source,
            edge.lead_time,
            edge.unit_cost + _cheapest(network, edge.source),
            holding.get(edge.source, 0.0),
        )
        for edge in network.edges
        if edge.target == store
    )


def memory_into(network: Network, place: str, most: int) -> int:
    """Periods from the latest order that can serve a place to its arrival, `most` at most; 0 at a supplier."""
    return min(most, min((edge.lead_time for edge in network.edges if edge.target == place), default=0))


def _cheapest(network: Network, place: str) -> float:
    """Unit costs of the cheapest path from a supplier to a place."""
    return min(
        (edge.unit_cost + _cheapest(network, edge.source) for edge in network.edges if edge.target == place),
        default=0.0,
    )
