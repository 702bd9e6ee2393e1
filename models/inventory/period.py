"""One period of a rollout: the policy orders, rationing makes it feasible, the network plays it; and one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from models.inventory.dynamics import PeriodCost, State, orders_placed, step
from models.inventory.feasibility import ration
from models.inventory.layout import Layout
from models.inventory.observation import Observation, ObservationNoise, observe
from models.inventory.scenarios import Scenarios

Decision = Callable[[Layout, Observation], Tensor]
"""Desired orders (batch, edge) from what is seen."""


@runtime_checkable
class JumpingPolicy(Protocol):
    """An order policy that decides whether to order at all, and can say how near it was to deciding otherwise."""

    def nearness(self, layout: Layout, observation: Observation) -> Tensor:
        """A blur of the decision, from 0 (no order) to 1, (batch, edge): only its gradient is used."""


REMEMBERED = 1 << 17
"""Scenario-periods times edges of which eager torch remembers all it computed; beyond, it computes again in reverse."""

PERIODS_AT_ONCE = 10


@dataclass(frozen=True)
class Play:
    """What one period held, kept for pictures and laws: state before it, orders, demand, cost and state after."""

    before: State
    orders: Tensor
    demand: Tensor
    cost: PeriodCost
    after: State


def play_period(
    layout: Layout,
    policy: Decision,
    state: State,
    observation: Observation,
    demand: Tensor,
) -> tuple[Tensor, State, PeriodCost]:
    """Feasible orders (batch, edge), the state after the period and its cost; demand (batch, store).

    Where orders have fixed costs and gradients are wanted, the decision to order has that of a jumping policy's blur.
    """
    orders = ration(layout, policy(layout, observation), state.on_hand)
    following, cost = step(layout, state, orders, demand, _placed(layout, policy, observation, orders))
    return orders, following, cost


def learns_jumps(policy: object, layout: Layout) -> TypeGuard[JumpingPolicy]:
    """Whether a gradient is wanted of decisions to order that have a fixed cost."""
    return layout.has_order_costs and torch.is_grad_enabled() and isinstance(policy, JumpingPolicy)


def _placed(layout: Layout, policy: object, observation: Observation, orders: Tensor) -> Tensor | None:
    """Where there are orders, with the gradient of the blur; None where no gradient is wanted."""
    if learns_jumps(policy, layout):
        blurred = policy.nearness(layout, observation)
        return orders_placed(orders) + blurred - blurred.detach()
    return None


def eager_play(
    layout: Layout,
    policy: Decision,
    window: int,
    scenarios: Scenarios,
    noise: ObservationNoise | None,
    plays: list[Play] | None,
) -> tuple[Tensor, State]:
    """Cost (batch, period) and the state after the last period: torch, operation by operation.

    Where a gradient is wanted of much, ten periods at a time are remembered by the state they began with and computed
    again in reverse, so that neither batch nor horizon decides whether it fits into memory.
    """

    def some(first: int, end: int, on_hand: Tensor, in_transit: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        state = State(on_hand, in_transit)
        costs = []
        for period in range(first, end):
            observation = observe(scenarios, state, period, window, noise)
            demand = scenarios.demand[:, :, scenarios.history + period]
            orders, following, cost = play_period(layout, policy, state, observation, demand)
            if plays is not None:
                plays.append(Play(state, orders, demand, cost, following))
            costs.append(cost.total)
            state = following
        return torch.stack(costs, dim=1), state.on_hand, state.in_transit

    on_hand, in_transit = scenarios.on_hand, scenarios.in_transit
    on_cpu = scenarios.demand.device.type == "cpu"  # a recorded CUDA graph runs faster whole, and has the memory
    much = on_cpu and scenarios.batch * scenarios.periods * layout.edges > REMEMBERED
    if plays is not None or not torch.is_grad_enabled() or not much:
        cost, on_hand, in_transit = some(0, scenarios.periods, on_hand, in_transit)
        return cost, State(on_hand, in_transit)
    costs = []
    for first in range(0, scenarios.periods, PERIODS_AT_ONCE):
        end = min(first + PERIODS_AT_ONCE, scenarios.periods)
        cost, on_hand, in_transit = checkpoint(
            some, first, end, on_hand, in_transit, use_reentrant=False, preserve_rng_state=False
        )
        costs.append(cost)
    return torch.cat(costs, dim=1), State(on_hand, in_transit)
