"""The dynamics of the reference page once more: slow, obvious, one number at a time, sharing no code with models."""

from __future__ import annotations

from dataclasses import dataclass

from models.inventory.network import Network


@dataclass
class ScalarPlay:
    """What one scenario's play came to, by place name and by edge (source, target)."""

    costs: list[float]
    on_hand: dict[str, float]
    due: dict[str, dict[int, float]]
    shipped: list[dict[tuple[str, str], float]]


def play_scalar(
    network: Network,
    on_hand: dict[str, float],
    due: dict[str, dict[int, float]],
    desired: list[dict[tuple[str, str], float]],
    demand: list[dict[str, float]],
) -> ScalarPlay:
    """Plays recorded desired orders, by period and edge. due[place][t] arrives at the start of period t."""
    suppliers = {node.name for node in network.suppliers}
    stores = {node.name for node in network.stores}
    docks = {node.name for node in network.nodes if node.kind == "cross_dock"}
    stock = dict(on_hand)
    arrivals = {place: dict(slots) for place, slots in due.items()}
    costs, shipped = [], []
    for period, wanted in enumerate(desired):
        sent = {}
        for edge in network.edges:
            quantity = wanted[edge.source, edge.target]
            if edge.source in docks:  # all there is, in proportion; a millionth of a unit is asked for in any case
                asked = sum(
                    wanted[other.source, other.target] + 1e-6 for other in network.edges if other.source == edge.source
                )
                quantity = (quantity + 1e-6) * max(stock[edge.source], 0.0) / asked
            elif edge.source not in suppliers:
                asked = sum(
                    wanted[other.source, other.target] for other in network.edges if other.source == edge.source
                )
                available = max(stock[edge.source], 0.0)
                if asked > available:
                    quantity = quantity * available / asked
            sent[edge.source, edge.target] = quantity
        for edge in network.edges:
            quantity = sent[edge.source, edge.target]
            if edge.source not in suppliers:
                stock[edge.source] -= quantity
            at = period + edge.lead_time
            arrivals[edge.target][at] = arrivals[edge.target].get(at, 0.0) + quantity
        cost = sum(edge.unit_cost * sent[edge.source, edge.target] for edge in network.edges)
        cost += sum(edge.order_cost for edge in network.edges if sent[edge.source, edge.target] > 1e-4)
        for place in network.places:
            if place.name in stores:
                stock[place.name] -= demand[period][place.name]
                cost += place.underage_cost * max(-stock[place.name], 0.0)
            cost += place.holding_cost * max(stock[place.name], 0.0)
            if network.unmet_demand == "lost":
                stock[place.name] = max(stock[place.name], 0.0)
        for place in network.places:
            stock[place.name] += arrivals[place.name].pop(period + 1, 0.0)
        costs.append(cost)
        shipped.append(sent)
    return ScalarPlay(costs, stock, arrivals, shipped)
