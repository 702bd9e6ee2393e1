"""Rollouts on a GPU as one CUDA graph: thousands of small operations are launched at once instead of one by one."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from models.inventory.dynamics import State
from models.inventory.layout import Layout
from models.inventory.native.lowering import UnsupportedError
from models.inventory.observation import ObservationNoise
from models.inventory.period import eager_play
from models.inventory.scenarios import Scenarios

Given: TypeAlias = tuple[Tensor, ...]
"""What changes from one rollout to the next: demand, calendar, stock on hand and in transit; noise on stock on hand, in
transit and on demand, where there is any."""

Replay: TypeAlias = Callable[..., tuple[Tensor, Tensor, Tensor]]

KEPT = 4
"""Recorded episodes at a time: each holds what its policy computes in all periods in the GPU's memory."""

STRETCH = 100
"""Periods that are recorded at most where no gradient is wanted; longer horizons replay them again and again."""

DEVICES = ("cuda",)


@dataclass
class _Recorded:
    """An episode that was recorded; policy and layout are kept, for it reads their tensors where they lie.

    played: how often it was replayed. Each time writes over what the time before left for its gradient.
    """

    policy: nn.Module
    layout: Layout
    replay: Replay
    played: int = 0


_recorded: dict[Hashable, _Recorded] = {}


def captured_play(
    layout: Layout, policy: nn.Module, window: int, scenarios: Scenarios, noise: ObservationNoise | None
) -> tuple[Tensor, State]:
    """Cost (batch, period) and the state after the last period, as `rollout.play` defines them.

    The first rollout of a size is recorded, with its gradient where one is wanted; later ones copy their demand in and
    replay it. A gradient must be taken before the next rollout of the same size; RuntimeError says so otherwise. What
    torch.autograd.grad gave lies where the next gradient is written; `weight.grad` does not. One thread at a time: a
    recording is one place in memory.
    Raises UnsupportedError without a GPU, and where scenarios have terms of their own or want a gradient.
    """
    if scenarios.demand.device.type not in DEVICES:
        raise UnsupportedError("graph without a GPU")
    if layout.batch > 1:
        raise UnsupportedError("graph with terms of each scenario's own")
    given: Given = (scenarios.demand, scenarios.calendar, scenarios.on_hand, scenarios.in_transit)
    if noise is not None:
        given = (*given, noise.on_hand, noise.in_transit, noise.demand)
    if any(tensor.requires_grad for tensor in given):
        raise UnsupportedError("graph with a gradient of scenarios or noise")
    if scenarios.periods > STRETCH and not torch.is_grad_enabled():
        return _in_stretches(layout, policy, window, scenarios, noise)
    size = (*(tuple(tensor.shape) for tensor in given), scenarios.history, window, torch.is_grad_enabled())
    weights = chain(policy.parameters(), policy.buffers())
    read = (*weights, *(getattr(layout, field.name) for field in fields(layout)))
    key = (id(policy), *size, *(_place(value) for value in read))
    if key not in _recorded:
        while len(_recorded) >= KEPT:
            _recorded.pop(next(iter(_recorded)))
        _recorded[key] = _Recorded(policy, layout, _record(layout, policy, window, scenarios.history, given))
    episode = _recorded[key]
    episode.played += 1
    for weight in policy.parameters():
        if weight.grad is not None:  # autograd may have left it where the recording will write the next
            weight.grad = weight.grad.clone()
    cost, on_hand, in_transit = _Taken.apply(episode, episode.played, *episode.replay(*given))
    return cost, State(on_hand, in_transit)


def _in_stretches(
    layout: Layout, policy: nn.Module, window: int, scenarios: Scenarios, noise: ObservationNoise | None
) -> tuple[Tensor, State]:
    costs, state = [], scenarios.start
    for first in range(0, scenarios.periods, STRETCH):
        end = min(first + STRETCH, scenarios.periods)
        heard = noise and ObservationNoise(
            noise.on_hand[:, first:end],
            noise.in_transit[:, first:end],
            noise.demand[:, :, first : scenarios.history + end],
        )
        cost, state = captured_play(layout, policy, window, scenarios.span(first, end, state), heard)
        costs.append(cost)
    return torch.cat(costs, dim=1), state


class _Taken(torch.autograd.Function):
    """Copies results out of the memory that the next replay writes to; refuses a gradient after that."""

    @staticmethod
    def forward(ctx: Any, episode: _Recorded, number: int, *results: Tensor) -> tuple[Tensor, ...]:
        ctx.episode, ctx.number = episode, number
        return tuple(result.clone() for result in results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.episode.played != ctx.number:
            raise RuntimeError(
                "A recorded rollout was replayed before the gradient of the one before it was taken, which it wrote "
                "over. Take each gradient first, or play with execution='eager'."
            )
        return None, None, *gradients


class _Episode(nn.Module):
    """An episode as a function of tensors alone."""

    def __init__(self, layout: Layout, policy: nn.Module, window: int, history: int) -> None:
        super().__init__()
        self.policy = policy
        self.layout, self.window, self.history = layout, window, history

    def forward(
        self, demand: Tensor, calendar: Tensor, on_hand: Tensor, in_transit: Tensor, *noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        scenarios = Scenarios(demand, calendar, on_hand, in_transit, self.history)
        heard = ObservationNoise(*noise) if noise else None
        cost, state = eager_play(self.layout, self.policy, self.window, scenarios, heard, None)
        return cost, state.on_hand, state.in_transit


def _record(layout: Layout, policy: nn.Module, window: int, history: int, given: Given) -> Replay:
    example = tuple(tensor.clone() for tensor in given)
    episode = _Episode(layout, policy, window, history)
    return _with_gradient(episode, example) if torch.is_grad_enabled() else _without_gradient(episode, example)


def _with_gradient(episode: nn.Module, example: Given) -> Replay:
    return cast(Replay, torch.cuda.make_graphed_callables(episode, example, allow_unused_input=True))


def _without_gradient(episode: nn.Module, example: Given) -> Replay:
    """As torch.cuda.make_graphed_callables, which knows no forward pass alone."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # libraries prepare themselves on first use, which no graph may record
        for _ in range(3):
            episode(*example)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = episode(*example)

    def replay(*given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        for kept, new in zip(example, given, strict=True):
            kept.copy_(new)
        graph.replay()
        return cast(tuple[Tensor, Tensor, Tensor], results)

    return replay


def _place(value: object) -> Hashable:
    return (value.data_ptr(), tuple(value.shape)) if isinstance(value, Tensor) else str(value)
