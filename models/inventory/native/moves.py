"""What the machine makes of operations that move elements: it renames columns, and sums those that meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from models.inventory.native.lowering import UnsupportedError
from models.inventory.native.program import Ids
from models.inventory.native.walk import Operation, Walk


def _slice(walk: Walk, x: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Ids:
    ids = walk.ids(x)
    return ids[(slice(None),) * (dim % ids.ndim) + (slice(start, end, step),)]


def _index(walk: Walk, x: Any, indices: list[Any]) -> Ids:
    return walk.ids(x)[tuple(slice(None) if i is None else walk.plain(i).numpy() for i in indices)]


def _split(walk: Walk, x: Any, sizes: int | list[int], dim: int = 0) -> list[Ids]:
    ids = walk.ids(x)
    length = ids.shape[dim]
    if isinstance(sizes, int):
        sizes = [min(sizes, length - first) for first in range(0, length, sizes)]
    return np.split(ids, np.cumsum(sizes)[:-1].tolist(), axis=dim)


def _pad(walk: Walk, x: Any, pad: list[int], value: float = 0.0) -> Ids:
    ids = walk.ids(x)
    widths = [(0, 0)] * (ids.ndim - len(pad) // 2) + list(zip(pad[-2::-2], pad[::-2], strict=True))
    for axis, (before, after) in enumerate(widths):
        if min(before, after) < 0:
            ids = np.take(ids, range(max(-before, 0), ids.shape[axis] - max(-after, 0)), axis)
    widths = [(max(before, 0), max(after, 0)) for before, after in widths]
    return np.pad(ids, widths, constant_values=walk.lowering.constant(float(value)))


def _positions(shape: tuple[int, ...], dim: int, index: Ids) -> Ids:
    """Flat positions in a tensor of this shape of elements whose place along `dim` is given, in the index's shape."""
    grid = np.indices(index.shape)
    places = tuple(index if axis == dim else along for axis, along in enumerate(grid))
    return np.asarray(np.ravel_multi_index(places, shape))


def _index_add(walk: Walk, x: Any, dim: int, index: Any, source: Any, alpha: float = 1) -> Ids:
    base, terms = walk.ids(x), walk.lowering.mul(walk.ids(source), walk.ids(alpha))
    dim %= base.ndim
    along = walk.plain(index).numpy().reshape([-1 if axis == dim else 1 for axis in range(base.ndim)])
    return walk.lowering.sum_into(base, _positions(base.shape, dim, np.broadcast_to(along, terms.shape)), terms)


def _scatter_add(walk: Walk, x: Any, dim: int, index: Any, source: Any) -> Ids:
    base, places = walk.ids(x), walk.plain(index).numpy()
    terms = walk.ids(source)[tuple(slice(size) for size in places.shape)]
    return walk.lowering.sum_into(base, _positions(base.shape, dim % base.ndim, places), terms)


def _converted(walk: Walk, x: Any, dtype: torch.dtype | None = None, **_: Any) -> Ids:
    if dtype is not None and not dtype.is_floating_point:
        raise UnsupportedError(f"conversion to {dtype}")
    return walk.ids(x)


def _cut_off(walk: Walk, x: Any) -> Ids:
    return walk.lowering.elementwise("copy", walk.ids(x))


def _filled(value: float) -> Operation:
    def filled(walk: Walk, x: Any, size: Any = None, *_: Any, **__: Any) -> Ids:
        shape = walk.ids(x).shape if size is None else tuple(size)
        return np.full(shape, walk.lowering.constant(value))

    return filled


def _expanded(shape: tuple[int, ...], wanted: list[int]) -> list[int]:
    known = [1] * (len(wanted) - len(shape)) + list(shape)
    return [size if ask == -1 else ask for ask, size in zip(wanted, known, strict=True)]


def _squeezed(ids: Ids, dim: int | list[int] | None) -> Ids:
    axes = range(ids.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    return ids.squeeze(tuple(axis for axis in axes if ids.shape[axis] == 1))


MOVES: dict[str, Operation] = {
    "index_add": _index_add,
    "scatter_add": _scatter_add,
    "view": lambda walk, x, shape: walk.ids(x).reshape(shape),
    "_unsafe_view": lambda walk, x, shape: walk.ids(x).reshape(shape),
    "expand": lambda walk, x, shape, **_: np.broadcast_to(walk.ids(x), _expanded(walk.ids(x).shape, shape)),
    "unsqueeze": lambda walk, x, dim: np.expand_dims(walk.ids(x), dim),
    "squeeze": lambda walk, x, dim=None: _squeezed(walk.ids(x), dim),
    "permute": lambda walk, x, dims: walk.ids(x).transpose(dims),
    "transpose": lambda walk, x, a, b: walk.ids(x).swapaxes(a, b),
    "t": lambda walk, x: walk.ids(x).T,
    "flip": lambda walk, x, dims: np.flip(walk.ids(x), dims),
    "slice": _slice,
    "select": lambda walk, x, dim, index: walk.ids(x).take(index, dim),
    "index_select": lambda walk, x, dim, index: walk.ids(x).take(walk.plain(index).numpy(), dim),
    "index": _index,
    "gather": lambda walk, x, dim, index: np.take_along_axis(walk.ids(x), walk.plain(index).numpy(), dim),
    "cat": lambda walk, parts, dim=0: np.concatenate([walk.ids(part) for part in parts if walk.ids(part).size], dim),
    "stack": lambda walk, parts, dim=0: np.stack([walk.ids(part) for part in parts], dim),
    "split": _split,
    "split_with_sizes": _split,
    "unbind": lambda walk, x, dim=0: list(np.moveaxis(walk.ids(x), dim, 0)),
    "constant_pad_nd": _pad,
    "clone": _converted,
    "alias": lambda walk, x: walk.ids(x),
    "_to_copy": _converted,
    "detach": _cut_off,
    "new_zeros": _filled(0.0),
    "new_ones": _filled(1.0),
    "zeros_like": lambda walk, x, **_: _filled(0.0)(walk, x),
    "ones_like": lambda walk, x, **_: _filled(1.0)(walk, x),
    "<built-in function getitem>": lambda walk, parts, index: walk.known[parts][index],
}
