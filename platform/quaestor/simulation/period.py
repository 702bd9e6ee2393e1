"""One period of a supply network: the step of models/inventory/dynamics.py in numpy, which a test holds equal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quaestor.simulation.network import Floats, Integers, PlainNetwork

SMALLEST_ORDER = 1e-4
"""Units from which on something is ordered, and a fixed cost paid; below it is what float arithmetic left."""


@dataclass(frozen=True)
class Stock:
    """What is where at the start of a period, in units.

    on_hand (batch, place): what is due now included; below 0 where unmet demand is backlogged. in_transit (batch,
    place, lead): slot k arrives at the start of the (k+1)-th period from now.
    """

    on_hand: Floats
    in_transit: Floats

    def with_slots(self, slots: int) -> Stock:
        """The same stock with room for lead times of at least so many periods."""
        missing = max(slots - self.in_transit.shape[2], 0)
        return Stock(self.on_hand, np.pad(self.in_transit, ((0, 0), (0, 0), (0, missing))))

    def seen_in(self, slots: int) -> Floats:
        """In transit (batch, place, slot) as a policy of so many slots sees it: what comes later is in the last."""
        padded = self.with_slots(slots).in_transit
        return np.concatenate((padded[:, :, : slots - 1], padded[:, :, slots - 1 :].sum(axis=2, keepdims=True)), axis=2)


@dataclass(frozen=True)
class PeriodCosts:
    """Cost of a period by cause and where it falls due: holding (batch, place), underage (batch, store), purchase
    (batch, edge)."""

    holding: Floats
    underage: Floats
    purchase: Floats


def step(network: PlainNetwork, stock: Stock, orders: Floats, demand: Floats) -> tuple[Stock, PeriodCosts]:
    """Plays one period: orders leave their sources, demand occurs, costs fall due, pipelines shift.

    orders (batch, edge): units, feasible already. demand (batch, store): units. The timing is that of Zipkin (2008,
    "Old and new methods for lost-sales inventory systems"): an order placed in period t over L periods serves the
    demand of t + L.
    """
    places, warehouses = len(network.places), network.warehouses
    left = stock.on_hand - by_node(network.source, orders, network.nodes)[:, :places]
    left[:, warehouses:] -= demand
    costs = PeriodCosts(
        holding=np.maximum(left, 0) * network.holding_cost,
        underage=np.maximum(-left[:, warehouses:], 0) * network.underage_cost,
        purchase=orders * network.unit_cost + (orders > SMALLEST_ORDER) * network.order_cost,
    )
    carried = np.maximum(left, 0) if network.unmet_is_lost else left
    pipeline = stock.in_transit + _sent(network, orders, stock.in_transit.shape[2]).reshape(stock.in_transit.shape)
    shifted = np.concatenate((pipeline[:, :, 1:], np.zeros_like(pipeline[:, :, :1])), axis=2)
    return Stock(carried + pipeline[:, :, 0], shifted), costs


def _sent(network: PlainNetwork, orders: Floats, slots: int) -> Floats:
    """Orders (batch, edge) where they arrive in the flattened pipeline (batch, place × slot)."""
    slot, length = network.target * slots + network.lead_time - 1, len(network.places) * slots
    if slot.ndim == 1:
        return by_node(slot, orders, length)
    sent = np.zeros((len(orders), length))
    np.add.at(sent, (np.arange(len(orders))[:, None], slot), orders)
    return sent


def by_node(node: Integers, values: Floats, nodes: int) -> Floats:
    """Sums values (batch, edge) by the node number of each edge; (batch, node)."""
    return np.asarray(values @ (node[:, None] == np.arange(nodes)).astype(np.float64))
