"""Rollouts on a GPU as one CUDA graph: thousands of small operations are launched at once instead of one by one."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import fields
from typing import cast

import torch
from torch import Tensor, nn

from models.inventory.dynamics import State
from models.inventory.layout import Layout
from models.inventory.native.lowering import UnsupportedError
from models.inventory.observation import ObservationNoise
from models.inventory.period import eager_play
from models.inventory.scenarios import Scenarios

Episode = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]

KEPT = 4
"""Recorded episodes at a time: each holds what its policy computes in all periods in the GPU's memory."""

_recorded: dict[Hashable, tuple[nn.Module, Layout, Episode]] = {}


def captured_play(
    layout: Layout, policy: nn.Module, window: int, scenarios: Scenarios, noise: ObservationNoise | None
) -> tuple[Tensor, State]:
    """Cost (batch, period) and the state after the last period, as `rollout.play` defines them.

    The first rollout of a size is recorded, with its gradient; later ones copy their demand in and replay it.
    Raises UnsupportedError without a GPU, with noise, and where scenarios have terms of their own.
    """
    if scenarios.demand.device.type != "cuda":
        raise UnsupportedError("graph without a GPU")
    if noise is not None or layout.batch > 1:
        raise UnsupportedError("graph with noise or terms of each scenario's own")
    given = (scenarios.demand, scenarios.calendar, scenarios.on_hand, scenarios.in_transit)
    if any(tensor.requires_grad for tensor in given):
        raise UnsupportedError("graph with a gradient of scenarios")
    size = (*(tuple(tensor.shape) for tensor in given), scenarios.history, torch.is_grad_enabled())
    key = (id(policy), *size, *(_place(getattr(layout, field.name)) for field in fields(layout)))
    if key not in _recorded:
        while len(_recorded) >= KEPT:
            _recorded.pop(next(iter(_recorded)))
        # Policy and layout are kept, for the graph reads their tensors where they lie.
        _recorded[key] = policy, layout, _record(layout, policy, window, scenarios.history, given)
    cost, on_hand, in_transit = _recorded[key][2](*given)
    # A replay writes where the one before it wrote: what is given away must not change any more.
    return cost.clone(), State(on_hand.clone(), in_transit.clone())


class _Episode(nn.Module):
    """An episode as a function of tensors alone."""

    def __init__(self, layout: Layout, policy: nn.Module, window: int, history: int) -> None:
        super().__init__()
        self.policy = policy
        self.layout, self.window, self.history = layout, window, history

    def forward(
        self, demand: Tensor, calendar: Tensor, on_hand: Tensor, in_transit: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        scenarios = Scenarios(demand, calendar, on_hand, in_transit, self.history)
        cost, state = eager_play(self.layout, self.policy, self.window, scenarios, None, None)
        return cost, state.on_hand, state.in_transit


def _record(
    layout: Layout, policy: nn.Module, window: int, history: int, given: tuple[Tensor, Tensor, Tensor, Tensor]
) -> Episode:
    example = tuple(tensor.clone() for tensor in given)
    episode = _Episode(layout, policy, window, history)
    return cast(Episode, torch.cuda.make_graphed_callables(episode, example, allow_unused_input=True))


def _place(value: object) -> Hashable:
    return (value.data_ptr(), tuple(value.shape)) if isinstance(value, Tensor) else str(value)
