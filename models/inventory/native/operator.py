"""Rollouts on the machine, as one differentiable operator."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.inventory.native.build import library
from models.inventory.native.encoding import Code, Program
from models.inventory.native.lowering import UnsupportedError
from models.inventory.native.program import OPS

CACHE_BYTES = 768 * 1024
"""What a thread's columns should fit in: most of a second-level cache."""

KEPT_BYTES = 96 * 1024 * 1024
"""How much all threads keep of what the last periods computed until it is played in reverse: an episode of 50 stores.
From memory, too, it comes back faster than it is computed again."""

LARGEST_BLOCK = 256
TASKS = 64
"""Into how many parts gradients are summed: fixed, so that results do not depend on how many threads there are."""


@dataclass(frozen=True)
class Source:
    """Where columns that are read anew each period come from.

    data: contiguous. offsets (column,): where each begins; row, period: steps from one scenario, and from one period,
    to the next.
    """

    data: Tensor
    offsets: np.ndarray[Any, np.dtype[np.int64]]
    row: int
    period: int


class _Input(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("offset", "row_stride", "period_stride")] + [
        ("data", ctypes.c_void_p)
    ]


_POINTERS = (
    *("instructions", "numbers", "pool", "inputs", "uniforms", "states", "given_states", "parameters", "gradient"),
    *("start", "start_gradient", "end", "end_gradient", "cost", "cost_gradient", "trajectory", "ticks"),
)
_COUNTS = (
    *("instruction_count", "turn", "input_count", "uniform_count", "state_count", "column_count", "given_count"),
    *("parameter_count", "cost_column", "given_cost", "rows", "periods", "kept", "block", "problems", "tasks"),
    "threads",
)


class _Job(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in _POINTERS] + [(name, ctypes.c_int64) for name in _COUNTS]


@dataclass(frozen=True)
class Rollout:
    """A program on its way through `periods` periods of some scenarios, with the sources of its inputs in order.

    problems: how many there are, each with parameters and an equal number of consecutive scenarios of its own.
    """

    program: Program
    sources: tuple[Source, ...]
    rows: int
    periods: int
    problems: int
    dtype: torch.dtype

    def block(self, keep: bool, periods: int = 1) -> int:
        """Scenarios that are played side by side; keep: whether they will be played in reverse, too. periods: how many
        are kept as they were computed."""
        multiple = int(getattr(_machine(), f"block_multiple_{self._kind}")())
        code = self.program.reverse if keep else self.program.play
        size = (periods * code.columns + code.gradients) * self.dtype.itemsize
        wanted = min(CACHE_BYTES // size, LARGEST_BLOCK, self.rows // self.problems + multiple - 1)
        return max(wanted // multiple * multiple, multiple)

    def forward(self, parameters: Tensor, start: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Cost (row, period), state at the end (row, state), and what `backward` needs where `keep`."""
        block = self.block(keep)
        cost = start.new_empty(self.rows, self.periods)
        end = torch.empty_like(start)
        kept = self.problems * self._blocks(block) * self.periods * start.shape[1] * block if keep else 0
        trajectory = start.new_empty(kept)
        given = {"parameters": parameters, "start": start, "end": end, "cost": cost, "trajectory": trajectory}
        self._run("play", self.program.play, block, given)
        return cost, end, trajectory

    def backward(self, parameters: Tensor, trajectory: Tensor, cost: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of the parameters and of the state at the start, from those of cost and state at the end."""
        block = self.block(True)
        start = torch.empty_like(end)
        gradient = parameters.new_empty(self._tasks(block), parameters.shape[-1])
        given = {"parameters": parameters, "trajectory": trajectory, "gradient": gradient}
        given |= {"cost_gradient": cost, "end_gradient": end, "start_gradient": start}
        self._run("reverse", self.program.reverse, block, given)
        return self._total(gradient, parameters), start

    def learn(self, parameters: Tensor, start: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cost (row, period), state at the end, and the gradients, of the parameters and of the state at the start, of
        the sum of cost × weight (row, period)."""
        block = self.block(True, self.periods)
        each = self.program.reverse.columns * block * self.dtype.itemsize
        kept = KEPT_BYTES // (each * torch.get_num_threads())
        cost, end, start_gradient = torch.empty_like(weight), torch.empty_like(start), torch.empty_like(start)
        gradient = parameters.new_empty(self._tasks(block), parameters.shape[-1])
        given = {"parameters": parameters, "start": start, "end": end, "cost": cost, "cost_gradient": weight}
        given |= {"gradient": gradient, "start_gradient": start_gradient}
        self._run("learn", self.program.reverse, block, given, min(max(kept, 1), self.periods))
        return cost, end, self._total(gradient, parameters), start_gradient

    def _total(self, gradient: Tensor, parameters: Tensor) -> Tensor:
        return gradient.view(self.problems, -1, parameters.shape[-1]).sum(dim=1).view_as(parameters)

    def _blocks(self, block: int) -> int:
        """How many blocks each problem has."""
        return -(-self.rows // self.problems // block)

    def _tasks(self, block: int) -> int:
        return self.problems * max(1, min(self._blocks(block), -(-TASKS // self.problems)))

    @property
    def _kind(self) -> str:
        return {torch.float32: "float", torch.float64: "double"}[self.dtype]

    def _run(self, what: str, code: Code, block: int, tensors: dict[str, Tensor], kept: int = 1) -> None:
        inputs = [
            _Input(int(offset), source.row, source.period, source.data.data_ptr())
            for source in self.sources
            for offset in source.offsets
        ]
        array = (_Input * len(inputs))(*inputs)
        job = _Job(
            instructions=code.words.ctypes.data,
            numbers=code.numbers.ctypes.data,
            pool=code.pool.ctypes.data,
            inputs=ctypes.addressof(array),
            uniforms=self.program.uniforms.ctypes.data,
            states=code.states.ctypes.data,
            given_states=code.given_states.ctypes.data,
            **{name: tensor.data_ptr() for name, tensor in tensors.items()},
            ticks=None if _ticks is None else _ticks.ctypes.data,
            instruction_count=len(code.words),
            turn=code.turn,
            input_count=len(inputs),
            uniform_count=len(self.program.uniforms),
            state_count=len(code.states),
            column_count=code.columns,
            given_count=code.gradients,
            parameter_count=tensors["parameters"].shape[-1],
            cost_column=code.cost,
            given_cost=code.given_cost,
            rows=self.rows,
            periods=self.periods,
            kept=kept,
            block=block,
            problems=self.problems,
            tasks=self._tasks(block),
            threads=torch.get_num_threads(),
        )
        getattr(_machine(), f"{what}_{self._kind}")(ctypes.byref(job))


_ticks: np.ndarray[Any, np.dtype[np.int64]] | None = None


class Operator(torch.autograd.Function):
    """Cost (row, period) and state at the end (row, state) from parameters (problem × parameter) and a start."""

    @staticmethod
    def forward(ctx: Any, rollout: Rollout, parameters: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """Plays all periods; keeps the state before each where a gradient is wanted."""
        parameters = parameters.contiguous()
        cost, end, trajectory = rollout.forward(parameters, start, any(ctx.needs_input_grad))
        ctx.rollout = rollout
        ctx.save_for_backward(parameters, trajectory)
        return cost, end

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cost: Tensor, end: Tensor) -> tuple[None, Tensor, Tensor]:
        """Plays all periods in reverse, each computed again from the state before it."""
        parameters, trajectory = ctx.saved_tensors
        return None, *ctx.rollout.backward(parameters, trajectory, cost.contiguous(), end.contiguous())


class Learner(torch.autograd.Function):
    """The sum of cost × weight, with its gradient taken at once; and, without one, cost and state at the end."""

    @staticmethod
    def forward(
        ctx: Any, rollout: Rollout, parameters: Tensor, start: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Plays all periods forwards and in reverse."""
        parameters = parameters.contiguous()
        cost, end, gradient, start_gradient = rollout.learn(parameters, start, weight.contiguous())
        ctx.save_for_backward(gradient, start_gradient)
        ctx.mark_non_differentiable(cost, end)
        return (cost * weight).sum(), cost, end

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, loss: Tensor, cost: Tensor, end: Tensor) -> tuple[None, Tensor, Tensor, None]:
        """What is known, times the gradient of the sum."""
        gradient, start_gradient = ctx.saved_tensors
        return None, gradient * loss, start_gradient * loss, None


@contextlib.contextmanager
def profiled() -> Iterator[dict[str, float]]:
    """Once the context has ended: where the machine's time went, in seconds of its first thread by operation."""
    global _ticks
    _ticks = np.zeros(2 * len(OPS) + 2, dtype=np.int64)  # last: how many there were, and the nanoseconds they took
    spent: dict[str, float] = {}
    try:
        yield spent
        *parts, whole, nanoseconds = _ticks.tolist()
        names = (*OPS, *(f"{op}, in reverse" for op in OPS))
        spent.update({name: part * nanoseconds * 1e-9 / max(whole, 1) for name, part in zip(names, parts, strict=True)})
    finally:
        _ticks = None


def _machine() -> ctypes.CDLL:
    machine = library()
    if machine is None:
        raise UnsupportedError("C++ compiler")
    return machine
