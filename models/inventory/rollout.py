"""Plays a policy through scenarios: the one rollout that training, evaluation and certification share."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from models.inventory.dynamics import PeriodCost, State
from models.inventory.layout import Layout
from models.inventory.native.lowering import UnsupportedError
from models.inventory.native.play import native_play
from models.inventory.observation import Observation, ObservationNoise, observe
from models.inventory.period import play_period
from models.inventory.scenarios import Scenarios

Execution: TypeAlias = Literal["auto", "eager", "native"]
"""How a rollout is computed. eager: torch, operation by operation; the truth. native: compiled loops that play the same
Python, traced (models/inventory/native). auto: native where it can be and pays, else eager."""

WORTH_A_TRACE = 4096
"""Scenario-periods from which `auto` takes the fraction of a second that a trace costs."""

_log = logging.getLogger(__name__)


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
    execution: Execution = "auto",
) -> Tensor:
    """Total cost of each scenario and period, (batch, period); differentiable in the policy's parameters.

    `plays`, when a list is given, receives every period. execution: see `Execution`.
    """
    return play(layout, policy, scenarios, noise, plays, execution)[0]


def play(
    layout: Layout,
    policy: OrderPolicy,
    scenarios: Scenarios,
    noise: ObservationNoise | None = None,
    plays: list[Play] | None = None,
    execution: Execution = "auto",
) -> tuple[Tensor, State]:
    """What `rollout` gives, and the state after the last period."""
    large = scenarios.batch * scenarios.periods >= WORTH_A_TRACE or execution == "native"
    on_cpu = scenarios.demand.device.type == "cpu"
    if plays is None and execution != "eager" and isinstance(policy, nn.Module) and large and on_cpu:
        try:
            return native_play(layout, policy, policy.window, scenarios, noise)
        except UnsupportedError as reason:
            if execution == "native":
                raise
            _log.info("Torch plays this policy: the machine knows no %s.", reason)
    return _eager_play(layout, policy, scenarios, noise, plays)


def _eager_play(
    layout: Layout,
    policy: OrderPolicy,
    scenarios: Scenarios,
    noise: ObservationNoise | None,
    plays: list[Play] | None,
) -> tuple[Tensor, State]:
    state = scenarios.start
    costs = []
    for period in range(scenarios.periods):
        observation = observe(scenarios, state, period, policy.window, noise)
        demand = scenarios.demand[:, :, scenarios.history + period]
        orders, following, cost = play_period(layout, policy, state, observation, demand)
        if plays is not None:
            plays.append(Play(state, orders, demand, cost, following))
        costs.append(cost.total)
        state = following
    return torch.stack(costs, dim=1), state
