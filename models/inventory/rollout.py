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
from models.inventory.native.play import native_play, native_weighed
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
        compiled = native_play if way == "native" else captured_play
        try:
            return compiled(layout, _traceable(layout, policy), policy.window, scenarios, noise)
        except UnsupportedError as reason:
            _allow_eager(execution, way, reason)
    return eager_play(layout, policy, policy.window, scenarios, noise, plays)


def weighed(
    layout: Layout, policy: OrderPolicy, scenarios: Scenarios, weight: Tensor, execution: Execution = "auto"
) -> tuple[Tensor, Tensor, State]:
    """The sum of cost × weight (batch, period), which is differentiable; and, cut off from it, the cost (batch, period)
    and the state after the last period.

    What learners descend on. Because it is known beforehand what each cost counts, compiled loops take the gradient of
    each block of scenarios while what was computed is in cache: a quarter less arithmetic than the gradient of `play`.
    Raises UnsupportedError as `play` does.
    """
    if (_way(layout, scenarios) if execution == "auto" else execution) == "native":
        try:
            return native_weighed(layout, _traceable(layout, policy), policy.window, scenarios, weight)
        except UnsupportedError as reason:
            _allow_eager(execution, "native", reason)
            execution = "eager"
    cost, after = play(layout, policy, scenarios, execution=execution)
    return (cost * weight).sum(), cost.detach(), after.detach()


def _traceable(layout: Layout, policy: OrderPolicy) -> nn.Module:
    if not isinstance(policy, nn.Module):
        raise UnsupportedError("policy that is no torch module")
    if learns_jumps(policy, layout):
        raise UnsupportedError("gradient of decisions that have a fixed cost")
    return policy


def _allow_eager(execution: Execution, way: Execution, reason: UnsupportedError) -> None:
    if execution != "auto":
        raise reason
    _log.info("Torch plays this policy, operation by operation: there is no %s %s.", way, reason)


def _way(layout: Layout, scenarios: Scenarios) -> Execution:
    if scenarios.demand.device.type == "cuda":
        return "captured"
    worth_it = WORTH_A_TRACE_TO_LEARN if torch.is_grad_enabled() else WORTH_A_TRACE
    much = scenarios.batch * scenarios.periods * layout.edges >= worth_it
    return "native" if much and scenarios.demand.device.type == "cpu" else "eager"
