"""Plays a policy through scenarios: the one rollout that training, evaluation and certification share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from models.inventory.dynamics import PeriodCost, State, step
from models.inventory.feasibility import ration
from models.inventory.layout import Layout
from models.inventory.observation import Observation, ObservationNoise, observe
from models.inventory.scenarios import Scenarios


class OrderPolicy(Protocol):
    """Decides how much each edge should carry."""

    @property
    def window(self) -> int:
        """How many past demands it looks at, in periods."""

    def __call__(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units, 0 or more; rationing makes them feasible."""


@dataclass(frozen=True)
class Play:
    """What one period held, kept for pictures and laws: state before it, orders, demand, cost and state after."""

    before: State
    orders: Tensor
    demand: Tensor
    cost: PeriodCost
    after: State


def rollout(
    layout: Layout,
    policy: OrderPolicy,
    scenarios: Scenarios,
    noise: ObservationNoise | None = None,
    plays: list[Play] | None = None,
) -> Tensor:
    """Total cost of each scenario and period, (batch, period); differentiable in the policy's parameters.

    `plays`, when a list is given, receives every period.
    """
    return play(layout, policy, scenarios, noise, plays)[0]


def play(
    layout: Layout,
    policy: OrderPolicy,
    scenarios: Scenarios,
    noise: ObservationNoise | None = None,
    plays: list[Play] | None = None,
) -> tuple[Tensor, State]:
    """What `rollout` gives, and the state after the last period."""
    state = scenarios.start
    costs = []
    for period in range(scenarios.periods):
        observation = observe(scenarios, state, period, policy.window, noise)
        orders = ration(layout, policy(layout, observation), state.on_hand)
        demand = scenarios.demand[:, :, scenarios.history + period]
        following, cost = step(layout, state, orders, demand)
        if plays is not None:
            plays.append(Play(state, orders, demand, cost, following))
        costs.append(cost.total)
        state = following
    return torch.stack(costs, dim=1), state
