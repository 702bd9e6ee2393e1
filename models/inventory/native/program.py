"""A period as a program of column instructions, and the writing of one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
"""Column numbers, in the shape of the tensor that the columns hold."""

Flags = NDArray[np.bool_]

OPS = (
    *("add", "sub", "mul", "div", "greater", "greater_equal", "equal", "where", "exp", "log", "sigmoid", "softplus"),
    *("elu", "clamp", "round", "floor", "sqrt", "tanh", "abs", "copy", "affine"),
)
"""What the machine computes, in the order of its own list (machine.cpp)."""

STEPS = ("greater", "greater_equal", "equal", "round", "floor", "copy")
"""Operations without a gradient; a copy cuts it off."""

WORDS = 10
"""Whole numbers in an instruction: op, count, out, a, stride, b, stride, c, stride, operands that want a gradient."""

UNIFORM = 1 << 40
"""Where columns are numbered that hold the same for all scenarios; their place is before all others."""


@dataclass(frozen=True)
class Program:
    """One period for the machine.

    code (instruction, word), numbers (instruction, 2) and pool are as machine.cpp defines them. uniforms: which
    parameter each of the first columns holds. first_input: the first column of what is read anew each period.
    first_state, states: columns of the state at the start, and at the end of a period. cost: the column of its cost.
    """

    code: Ids
    numbers: NDArray[np.float64]
    pool: NDArray[np.int32]
    uniforms: NDArray[np.int32]
    first_input: int
    first_state: int
    states: NDArray[np.int32]
    cost: int
    columns: int


class Writer:
    """Collects instructions and numbers the columns they write."""

    def __init__(self) -> None:
        self._code: list[tuple[int, ...]] = []
        self._numbers: list[tuple[float, float]] = []
        self._pool: list[Ids] = []
        self._pooled = 0
        self._wants: Flags = np.zeros(0, dtype=bool)
        self._uniforms: list[int] = []
        self._uniform_wants: list[bool] = []

    def columns(self, shape: tuple[int, ...], wants: bool | Flags) -> Ids:
        """New columns, one for each element of a shape; wants: whether they want a gradient."""
        first, count = len(self._wants), int(np.prod(shape))
        self._wants = np.concatenate((self._wants, np.broadcast_to(wants, (count,))))
        return np.arange(first, first + count).reshape(shape)

    def uniform(self, parameter: int, wants: bool) -> int:
        """The column of a parameter that all scenarios share."""
        self._uniforms.append(parameter)
        self._uniform_wants.append(wants)
        return UNIFORM + len(self._uniforms) - 1

    def elementwise(self, op: str, operands: list[Ids], low: float = 0.0, high: float = 0.0) -> Ids:
        """An operation on flat operands of one length; the columns of its result, (element,)."""
        wants = np.stack([self._wanted(ids) & (op not in STEPS) for ids in operands])
        out = self.columns(operands[0].shape, np.asarray(wants.any(axis=0)))
        for first, end in _runs(np.stack([*operands, *wants.astype(np.int64) * 2])):
            row = [OPS.index(op), end - first, int(out[first])]
            for ids in operands:
                row += [int(ids[first]), int(ids[first + 1] - ids[first]) if end - first > 1 else 1]
            row += [0] * (WORDS - 1 - len(row))
            bits = sum(int(want[first]) << bit for bit, want in enumerate(wants))
            self._code.append((*row, bits))
            self._numbers.append((low, high))
        return out

    def affine(self, rows: Ids, weight: int, bias: int, outputs: int) -> Ids:
        """weight and bias, by where they start among the parameters (-1: no bias), applied to rows (row, input)."""
        out = self.columns((len(rows), outputs), True)
        wants = bool(self._wanted(rows.ravel()).any())
        ins, outs = self._pooled, self._pooled + rows.size
        self._pool += [rows.ravel(), out.ravel()]
        self._pooled += rows.size + out.size
        shape = (OPS.index("affine"), len(rows), 0, ins, rows.shape[1], outs, outputs)
        self._code.append((*shape, weight, bias, int(wants)))
        self._numbers.append((0.0, 0.0))
        return out

    def finish(self, first_input: int, first_state: int, states: Ids, cost: int) -> Program:
        """The program, with every column at its place."""
        code = np.array(self._code, dtype=np.int64).reshape(-1, WORDS)
        plain = code[:, 0] != OPS.index("affine")
        for word in (2, 3, 5, 7):
            code[plain, word] = self._placed(code[plain, word])
        shift = len(self._uniforms)
        pool = self._placed(np.concatenate((*self._pool, np.zeros(0, dtype=np.int64))))
        return Program(
            code=code,
            numbers=np.array(self._numbers, dtype=np.float64).reshape(-1, 2),
            pool=pool.astype(np.int32),
            uniforms=np.array(self._uniforms, dtype=np.int32),
            first_input=first_input + shift,
            first_state=first_state + shift,
            states=self._placed(states.ravel()).astype(np.int32),
            cost=int(self._placed(np.array([cost]))[0]),
            columns=len(self._wants) + shift,
        )

    def _placed(self, ids: Ids) -> Ids:
        return np.where(ids >= UNIFORM, ids - UNIFORM, ids + len(self._uniforms))

    def _wanted(self, ids: Ids) -> Flags:
        known = np.concatenate((self._wants, self._uniform_wants)).astype(bool)
        return np.asarray(known[np.where(ids >= UNIFORM, ids - UNIFORM + len(self._wants), ids)])


def _runs(rows: Ids) -> list[tuple[int, int]]:
    """First and past the last of each stretch along which every row goes on in steps of one, or stays."""
    count = rows.shape[1]
    steps = np.diff(rows, axis=1)
    broken = ((steps != 0) & (steps != 1)).any(axis=0)
    turns = np.flatnonzero(np.append(broken[1:] | (np.diff(steps, axis=1) != 0).any(axis=0), True)) + 1
    runs, first = [], 0
    while first < count:
        if first == count - 1 or broken[first]:
            end = first + 1
        else:
            end = int(turns[np.searchsorted(turns, first, side="right")]) + 1
        runs.append((first, end))
        first = end
    return runs
