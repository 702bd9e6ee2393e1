"""One period of a supply network, as a pure and differentiable function of state, orders and demand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.inventory.feasibility import sum_by_node
from models.inventory.layout import Layout

SMALLEST_ORDER = 1e-4
"""Units from which on something is ordered; below it is what float arithmetic left."""


@dataclass(frozen=True)
class State:
    """Everything the simulated world knows at the start of a period.

    on_hand (batch, place): units, including what is due now; below 0 where unmet demand is backlogged.
    in_transit (batch, place, lead): slot k arrives at the start of the (k+1)-th period from now.
    """

    on_hand: Tensor
    in_transit: Tensor

    def detach(self) -> State:
        """The same state, cut off from how it came about."""
        return State(self.on_hand.detach(), self.in_transit.detach())


@dataclass(frozen=True)
class PeriodCost:
    """Cost of a period by cause, each (batch,): what stays, what was asked for and not there, what was ordered."""

    holding: Tensor
    underage: Tensor
    purchase: Tensor

    @property
    def total(self) -> Tensor:
        """The sum of the three, (batch,)."""
        return self.holding + self.underage + self.purchase


def step(
    layout: Layout, state: State, orders: Tensor, demand: Tensor, placed: Tensor | None = None
) -> tuple[State, PeriodCost]:
    """Plays one period: orders leave their sources, demand occurs, costs fall due, pipelines shift.

    orders (batch, edge): units, already feasible. demand (batch, store): units, 0 or more. placed (batch, edge): 1
    where an order has its fixed cost, 0 elsewhere; found from the orders unless given.
    An order placed in period t on an edge with lead time L serves the demand of period t + L (Zipkin 2008,
    "Old and new methods for lost-sales inventory systems", timing of events).
    """
    after_shipping = state.on_hand
    if layout.ships_between_places:
        after_shipping = state.on_hand - sum_by_node(layout.source, orders, layout.nodes)[:, : layout.places]
    warehouses, stores = after_shipping.split((layout.warehouses, layout.stores), dim=1)
    after_demand = stores - demand
    left = torch.cat((warehouses, after_demand), dim=1)
    purchase = (orders * layout.unit_cost).sum(dim=1)
    if layout.has_order_costs:
        purchase = purchase + ((orders_placed(orders) if placed is None else placed) * layout.order_cost).sum(dim=1)
    cost = PeriodCost(
        holding=(left.clamp(min=0) * layout.holding_cost).sum(dim=1),
        underage=((-after_demand).clamp(min=0) * layout.underage_cost).sum(dim=1),
        purchase=purchase,
    )
    carried = left.clamp(min=0) if layout.unmet_is_lost else left
    pipeline = _place(layout, state.in_transit.flatten(1), orders).view_as(state.in_transit)
    empty = pipeline.new_zeros(*pipeline.shape[:2], 1)
    following = State(
        on_hand=carried + pipeline[:, :, 0],
        in_transit=torch.cat((pipeline[:, :, 1:], empty), dim=2),
    )
    return following, cost


def orders_placed(orders: Tensor) -> Tensor:
    """1 where something is ordered, 0 elsewhere, (batch, edge): a jump, which has no gradient."""
    return (orders > SMALLEST_ORDER).to(orders.dtype)


def _place(layout: Layout, pipeline: Tensor, orders: Tensor) -> Tensor:
    """Adds orders (batch, edge) where they arrive in the flattened pipeline (batch, place × lead)."""
    if layout.batch == 1:
        return pipeline.index_add(1, layout.arrival_slot[0], orders)
    return pipeline.scatter_add(1, layout.arrival_slot, orders)
