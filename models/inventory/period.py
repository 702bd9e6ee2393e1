"""One period of a rollout: the policy orders, rationing makes it feasible, the network plays it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from models.inventory.dynamics import PeriodCost, State, step
from models.inventory.feasibility import ration
from models.inventory.layout import Layout
from models.inventory.observation import Observation


def play_period(
    layout: Layout,
    policy: Callable[[Layout, Observation], Tensor],
    state: State,
    observation: Observation,
    demand: Tensor,
) -> tuple[Tensor, State, PeriodCost]:
    """Feasible orders (batch, edge), the state after the period and its cost; demand (batch, store)."""
    orders = ration(layout, policy(layout, observation), state.on_hand)
    following, cost = step(layout, state, orders, demand)
    return orders, following, cost
