"""Plays a policy through scenarios: the one rollout that training, evaluation and certification share."""

from __future__ import annotations

import logging
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from models.inventory.captured import captured_play
from models.inventory.dynamics import State
from models.inventory.layout import Layout
from models.inventory.native.lowering import UnsupportedError
from models.inventory.native.play import native_play
from models.inventory.observation import Observation, ObservationNoise
from models.inventory.period import Play, eager_play, learns_jumps
from models.inventory.scenarios import Scenarios

Execution: TypeAlias = Literal["auto", "eager", "native", "captured"]
"""How a rollout is computed. eager: torch, operation by operation; the truth. native: compiled loops on the CPU that
play the same Python, traced (models/inventory/native). captured: a CUDA graph of the whole episode and its gradient
(captured.py). auto: what suits the device and pays, or else eager."""

WORTH_A_TRACE = 8192
"""Scenarios × periods × edges from which `auto` takes the fraction of a second that a trace costs."""

WORTH_A_TRACE_TO_LEARN = 1024
"""The same where a gradient is wanted: whoever learns plays many times."""

_log = logging.getLogger(__name__)


class OrderPolicy(Protocol):
    """Decides how much each edge should carry."""

    @property
    def window(self) -> int:
        """How many past demands it looks at, in periods."""

    def __call__(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units, 0 or more; rationing makes them feasible."""


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
    """What `rollout` gives, and the state after the last period.

    Raises UnsupportedError where `native` or `captured` is asked for and cannot be had.
    """
    way = _way(layout, scenarios) if execution == "auto" else execution
    if plays is None and way != "eager":
        if not isinstance(policy, nn.Module):
            reason = UnsupportedError("policy that is no torch module")
        elif learns_jumps(policy, layout):
            reason = UnsupportedError("gradient of decisions that have a fixed cost")
        else:
            try:
                if way == "native":
                    return native_play(layout, policy, policy.window, scenarios, noise)
                return captured_play(layout, policy, policy.window, scenarios, noise)
            except UnsupportedError as error:
                reason = error
        if execution != "auto":
            raise reason
        _log.info("Torch plays this policy, operation by operation: there is no %s %s.", way, reason)
    return eager_play(layout, policy, policy.window, scenarios, noise, plays)


def _way(layout: Layout, scenarios: Scenarios) -> Execution:
    if scenarios.demand.device.type == "cuda":
        return "captured"
    worth_it = WORTH_A_TRACE_TO_LEARN if torch.is_grad_enabled() else WORTH_A_TRACE
    much = scenarios.batch * scenarios.periods * layout.edges >= worth_it
    return "native" if much and scenarios.demand.device.type == "cpu" else "eager"
