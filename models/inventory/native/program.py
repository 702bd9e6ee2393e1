"""A period as a program of column instructions, and the writing of one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
"""Column numbers, in the shape of the tensor that the columns hold."""

Flags = NDArray[np.bool_]

OPS = (
    *("add", "sub", "mul", "div", "greater", "greater_equal", "equal", "where", "exp", "log", "sigmoid", "softplus"),
    *("shift", "scale", "silu", "elu", "clamp", "round", "floor", "sqrt", "tanh", "abs", "copy", "affine"),
)
"""What the machine computes, in the order of its own list (machine.cpp); shift and scale add and multiply by a number
that all scenarios share, which takes no column."""

STEPS = ("greater", "greater_equal", "equal", "round", "floor", "copy")
"""Operations without a gradient; a copy cuts it off."""

_BY_A_SHARED_NUMBER = {"add": "shift", "mul": "scale"}

UNIFORM = 1 << 40
"""Where columns are numbered that hold the same for all scenarios; their place is before all others."""


@dataclass(frozen=True)
class Piece:
    """An operation on columns that are numbered in the order in which they were asked for.

    out and operands: (element,) each, or for an affine map (row, output) and, alone, (row, input). wants (operand,
    element), or (1, 1): which operands want a gradient. numbers: limits of a clamp. weight, bias: where they start
    among the parameters (-1: there is none). inputs: how many the weight has; the operand holds those from `first` on.
    """

    op: str
    out: Ids
    operands: tuple[Ids, ...]
    wants: Flags
    numbers: tuple[float, float] = (0.0, 0.0)
    weight: int = -1
    bias: int = -1
    inputs: int = 0
    first: int = 0

    def part(self, which: slice | Flags) -> Piece:
        """Some of its elements or rows."""
        wants = self.wants if self.op == "affine" else self.wants[:, which]
        return replace(self, out=self.out[which], operands=tuple(ids[which] for ids in self.operands), wants=wants)


@dataclass(frozen=True)
class Draft:
    """A period as it was lowered: pieces in an order in which they can be computed, on columns 0 to `columns`.

    uniforms: which parameter each uniform column holds. inputs, states: columns that are read anew each period, and
    of the state at its start. after, cost: columns of the state and the cost at its end. wants (column,): which
    columns depend on something that wants a gradient.
    """

    pieces: tuple[Piece, ...]
    uniforms: NDArray[np.int32]
    inputs: Ids
    states: Ids
    after: Ids
    cost: int
    wants: Flags

    @property
    def ends(self) -> Ids:
        """The columns of the state at its end and, last, of its cost."""
        return np.append(self.after, self.cost)


class Writer:
    """Collects pieces and numbers the columns they write."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._wants: list[Flags] = []
        self._count = 0
        self._uniforms: list[int] = []
        self._uniform_wants: list[bool] = []

    def columns(self, shape: tuple[int, ...], wants: bool | Flags) -> Ids:
        """New columns, one for each element of a shape; wants: whether they want a gradient."""
        first, count = self._count, int(np.prod(shape))
        self._wants.append(np.broadcast_to(np.asarray(wants, dtype=bool), (count,)))
        self._count += count
        return np.arange(first, first + count).reshape(shape)

    def uniform(self, parameter: int, wants: bool) -> int:
        """The column of a parameter that all scenarios share."""
        self._uniforms.append(parameter)
        self._uniform_wants.append(wants)
        return UNIFORM + len(self._uniforms) - 1

    def elementwise(self, op: str, operands: list[Ids], low: float = 0.0, high: float = 0.0) -> Ids:
        """An operation on flat operands of one length; the columns of its result, (element,)."""
        ids = np.stack(operands)
        shared = np.zeros(ids.shape[1], dtype=bool)
        if op in _BY_A_SHARED_NUMBER:
            ids = np.where(ids[0] >= UNIFORM, ids[::-1], ids)
            shared = (ids[0] < UNIFORM) & (ids[1] >= UNIFORM)
        wants = self._wanted(ids) & (op not in STEPS)
        out = self.columns((ids.shape[1],), np.asarray(wants.any(axis=0)))
        for name, part in ((op, ~shared), (_BY_A_SHARED_NUMBER.get(op, op), shared)):
            if part.any():
                self._pieces.append(Piece(name, out[part], tuple(ids[:, part]), wants[:, part], (low, high)))
        return out

    def affine(self, rows: Ids, weight: int, bias: int, outputs: int, within: tuple[int, int]) -> Ids:
        """weight and bias, by where they start among the parameters (-1: no bias), applied to rows (row, input), of
        which only the inputs from the first of `within` to before the second are not 0."""
        first, end = within
        out = self.columns((len(rows), outputs), True)
        wants = np.array([[bool(self._wanted(rows[:, first:end].ravel()).any())]])
        self._pieces.append(
            Piece("affine", out, (rows[:, first:end],), wants, (0, 0), weight, bias, rows.shape[1], first)
        )
        return out

    def finish(self, inputs: Ids, states: Ids, after: Ids, cost: int) -> Draft:
        """All that was written."""
        wants = self._gathered()
        return Draft(
            tuple(self._pieces), np.array(self._uniforms, dtype=np.int32), inputs, states, after.ravel(), cost, wants
        )

    def _gathered(self) -> Flags:
        """Whether each column wants a gradient; gathered once for as long as none is added."""
        if len(self._wants) > 1:
            self._wants = [np.concatenate(self._wants)]
        return self._wants[0] if self._wants else np.zeros(0, dtype=bool)

    def _wanted(self, ids: Ids) -> Flags:
        uniform = ids >= UNIFORM
        wants = np.zeros(ids.shape, dtype=bool)
        wants[uniform] = np.array(self._uniform_wants, dtype=bool)[ids[uniform] - UNIFORM]
        wants[~uniform] = self._gathered()[ids[~uniform]]
        return wants
