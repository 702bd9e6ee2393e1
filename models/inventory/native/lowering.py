"""From torch's own graph of one period to a program of column instructions.

The period is traced for a single scenario, so every element of a tensor is one column of a block of scenarios. Whatever
only moves elements (views, gathers, concatenations, padding) costs nothing: it rearranges column numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor, fx

from models.inventory.native.program import Ids, Writer


class UnsupportedError(Exception):
    """The graph holds something that the machine does not know."""


class Lowering:
    """Writes the program of a graph, and remembers which tensors that all scenarios share it reads."""

    def __init__(self, depends_on_weights: set[fx.Node]) -> None:
        self.writer = Writer()
        self.shared: list[fx.Node | float] = []
        self.parameters = 0
        self._wants = depends_on_weights
        self._offsets: dict[fx.Node | float, int] = {}
        self._columns: dict[fx.Node, Ids] = {}
        self._constants: dict[float, int] = {}

    def constant(self, value: float) -> int:
        """The column of a number."""
        if value not in self._constants:
            self._constants[value] = self.writer.uniform(self._offset(value, 1), False)
        return self._constants[value]

    def ids(self, value: Any, known: dict[fx.Node, Any]) -> Ids:
        """The columns of a value: of scenarios, of something that depends on weights alone, or of a constant."""
        if isinstance(value, np.ndarray):
            return value
        if isinstance(value, fx.Node):
            found = known[value]
            if value in self._wants and isinstance(found, Tensor):
                if value not in self._columns:
                    first = self._offset(value, found.numel())
                    flat = [self.writer.uniform(first + k, True) for k in range(found.numel())]
                    self._columns[value] = np.array(flat, dtype=np.int64).reshape(tuple(found.shape))
                return self._columns[value]
            return self.ids(found, known)
        if isinstance(value, Tensor):
            flat = [self.constant(float(number)) for number in value.flatten().tolist()]
            return np.array(flat, dtype=np.int64).reshape(tuple(value.shape))
        return np.array(self.constant(float(value)))

    def elementwise(self, op: str, *operands: Ids, low: float = 0.0, high: float = 0.0) -> Ids:
        """An operation on columns that broadcast together; equal elements are computed once."""
        spread = np.broadcast_arrays(*operands)
        flat = np.stack([ids.ravel() for ids in spread])
        if flat.shape[1] == 0:
            return spread[0].copy()
        _, first, back = np.unique(flat, axis=1, return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        out = self.writer.elementwise(op, list(flat[:, first[order]]), low, high)
        return np.asarray(out[rank[back.ravel()]].reshape(spread[0].shape))

    def _folded(self, op: str, a: Ids, b: Ids, a_stands: Ids, b_stands: Ids, zero: Ids) -> Ids:
        """`op`, where it is known: the result is a, or b, or nothing."""
        result = np.where(zero, self.constant(0.0), np.where(a_stands, a, b))
        rest = ~(a_stands | b_stands | zero)
        if rest.any():
            result[rest] = self.elementwise(op, a[rest], b[rest])
        return result

    def add(self, a: Ids, b: Ids) -> Ids:
        """a + b."""
        a, b = np.broadcast_arrays(a, b)
        nothing = self.constant(0.0)
        return self._folded("add", a, b, b == nothing, a == nothing, np.zeros(a.shape, dtype=bool))

    def sub(self, a: Ids, b: Ids) -> Ids:
        """a - b."""
        a, b = np.broadcast_arrays(a, b)
        never = np.zeros(a.shape, dtype=bool)
        return self._folded("sub", a, b, b == self.constant(0.0), never, never)

    def mul(self, a: Ids, b: Ids) -> Ids:
        """a times b."""
        a, b = np.broadcast_arrays(a, b)
        nothing, one = self.constant(0.0), self.constant(1.0)
        return self._folded("mul", a, b, b == one, a == one, (a == nothing) | (b == nothing))

    def div(self, a: Ids, b: Ids) -> Ids:
        """a divided by b."""
        a, b = np.broadcast_arrays(a, b)
        never = np.zeros(a.shape, dtype=bool)
        return self._folded("div", a, b, b == self.constant(1.0), never, never)

    def sum_into(self, base: Ids, positions: Ids, ids: Ids) -> Ids:
        """Adds each id to the element of `base` at its flat position, in pairs of pairs."""
        order = np.argsort(positions.ravel(), kind="stable")
        group, items = positions.ravel()[order], ids.ravel()[order]
        nothing = items != self.constant(0.0)
        group, items = group[nothing], items[nothing]
        while True:
            starts = np.flatnonzero(np.append(True, group[1:] != group[:-1])) if len(group) else group
            rank = np.arange(len(group)) - np.repeat(starts, np.diff(np.append(starts, len(group))))
            last = np.append(group[1:] != group[:-1], True)[: len(group)]
            left = np.flatnonzero((rank % 2 == 0) & ~last)
            if not len(left):
                break
            left = left[np.lexsort((group[left], rank[left]))]  # neighbours in memory, such as a layer, stay neighbours
            items[left] = self.add(items[left], items[left + 1])
            kept = np.ones(len(group), dtype=bool)
            kept[left + 1] = False
            group, items = group[kept], items[kept]
        result = base.ravel().copy()
        result[group] = self.add(result[group], items)
        return result.reshape(base.shape)

    def sum_over(self, ids: Ids, axes: Sequence[int], keep: bool) -> Ids:
        """The sum over some axes."""
        shape = tuple(1 if axis in axes else size for axis, size in enumerate(ids.shape))
        positions = np.broadcast_to(np.arange(math.prod(shape)).reshape(shape), ids.shape)
        total = self.sum_into(np.full(shape, self.constant(0.0)), positions, ids)
        return total if keep else total.squeeze(tuple(axes))

    def matmul(self, rows: Ids, weight: fx.Node, known: dict[fx.Node, Any], bias: fx.Node | None = None) -> Ids:
        """rows (row, input) @ weight (input, output) + bias; a weight without gradient is taken entry by entry."""
        matrix = known[weight]
        if not isinstance(matrix, Tensor):
            raise UnsupportedError("product of two quantities of scenarios as matrices")
        outputs = matrix.shape[1]
        if weight not in self._wants:
            inner, out = np.nonzero(matrix.numpy())
            factors = self.ids(matrix[inner, out], known)
            terms = self.mul(rows[:, inner], factors[None])
            positions = np.arange(len(rows))[:, None] * outputs + out
            base = np.full((len(rows), outputs), self.constant(0.0))
            result = self.sum_into(base, positions, terms)
            return result if bias is None else self.add(result, self.ids(bias, known))
        result = np.full((len(rows), outputs), self.constant(0.0))
        if bias is not None:
            result = np.broadcast_to(self.ids(bias, known), result.shape).copy()
        filled = rows != self.constant(0.0)
        ends = np.stack((filled.argmax(axis=1), rows.shape[1] - filled[:, ::-1].argmax(axis=1)), axis=1)
        for within in np.unique(ends[filled.any(axis=1)], axis=0):  # places without customers, say, have 0 from them
            alike = filled.any(axis=1) & (ends == within).all(axis=1)
            places = self._offset(weight, matrix.numel()), -1 if bias is None else self._offset(bias, outputs)
            result[alike] = self.writer.affine(rows[alike], *places, outputs, (int(within[0]), int(within[1])))
        return result

    def _offset(self, key: fx.Node | float, size: int) -> int:
        if key not in self._offsets:
            self._offsets[key] = self.parameters
            self.shared.append(key)
            self.parameters += size
        return self._offsets[key]
