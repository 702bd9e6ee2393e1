"""What the machine makes of torch's arithmetic, one entry an operation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import fx

from models.inventory.native.lowering import UnsupportedError
from models.inventory.native.program import Ids
from models.inventory.native.walk import Operation, Walk


def _scaled(walk: Walk, b: Any, alpha: float) -> Ids:
    ids = walk.ids(b)
    return ids if alpha == 1 else walk.lowering.mul(ids, walk.ids(alpha))


def _unary(op: str) -> Operation:
    return lambda walk, x: walk.lowering.elementwise(op, walk.ids(x))


def _compare(op: str, turned: bool = False) -> Operation:
    def compare(walk: Walk, a: Any, b: Any) -> Ids:
        first, second = (b, a) if turned else (a, b)
        return walk.lowering.elementwise(op, walk.ids(first), walk.ids(second))

    return compare


def _not(walk: Walk, x: Any) -> Ids:
    return walk.lowering.sub(walk.ids(1.0), walk.ids(x))


def _minus(walk: Walk, ids: Ids) -> Ids:
    return walk.lowering.mul(ids, walk.ids(-1.0))


def _clamp(walk: Walk, x: Any, *limits: float | None, **named: float | None) -> Ids:
    low, high, *_ = (*limits, None, None)
    low, high = named.get("min", low), named.get("max", high)
    if isinstance(low, fx.Node) or isinstance(high, fx.Node):
        raise UnsupportedError("limits of a clamp that are tensors")
    bounds = {"low": -math.inf if low is None else low, "high": math.inf if high is None else high}
    return walk.lowering.elementwise("clamp", walk.ids(x), **bounds)


def _maximum(walk: Walk, a: Any, b: Any) -> Ids:
    first, second = np.broadcast_arrays(walk.ids(a), walk.ids(b))
    return walk.lowering.elementwise("where", walk.lowering.elementwise("greater", first, second), first, second)


def _minimum(walk: Walk, a: Any, b: Any) -> Ids:
    first, second = np.broadcast_arrays(walk.ids(a), walk.ids(b))
    return walk.lowering.elementwise("where", walk.lowering.elementwise("greater", first, second), second, first)


def _maximum_over(walk: Walk, x: Any, dim: list[int] | int, keepdim: bool = False) -> Ids:
    ids = walk.ids(x)
    (axis,) = _axes(ids, dim)
    result: Ids = np.asarray(ids.take(0, axis))
    for k in range(1, ids.shape[axis]):
        result = _maximum(walk, result, ids.take(k, axis))
    return np.expand_dims(result, axis) if keepdim else result


def _softplus(walk: Walk, x: Any, beta: float = 1.0, threshold: float = 20.0) -> Ids:
    if threshold != 20:
        raise UnsupportedError("softplus with a threshold of its own")
    scaled = walk.lowering.mul(walk.ids(x), walk.ids(beta))
    return walk.lowering.mul(walk.lowering.elementwise("softplus", scaled), walk.ids(1 / beta))


def _elu(walk: Walk, x: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Ids:
    if not alpha == scale == input_scale == 1:
        raise UnsupportedError("ELU with factors")
    return walk.lowering.elementwise("elu", walk.ids(x))


def _power(walk: Walk, x: Any, exponent: float) -> Ids:
    ids, lowering = walk.ids(x), walk.lowering
    match exponent:
        case 2:
            return lowering.mul(ids, ids)
        case 0.5:
            return lowering.elementwise("sqrt", ids)
        case -1:
            return lowering.div(walk.ids(1.0), ids)
    raise UnsupportedError(f"power of {exponent}")


def _inverse_root(walk: Walk, x: Any) -> Ids:
    return walk.lowering.div(walk.ids(1.0), walk.lowering.elementwise("sqrt", walk.ids(x)))


def _axes(ids: Ids, dim: int | list[int] | None) -> list[int]:
    axes = range(ids.ndim) if dim is None else [dim] if isinstance(dim, int) else dim or range(ids.ndim)
    return [axis % ids.ndim for axis in axes]


def _sum(walk: Walk, x: Any, dim: int | list[int] | None = None, keepdim: bool = False, dtype: Any = None) -> Ids:
    ids = walk.ids(x)
    return walk.lowering.sum_over(ids, _axes(ids, dim), keepdim)


def _mean(walk: Walk, x: Any, dim: int | list[int] | None = None, keepdim: bool = False, dtype: Any = None) -> Ids:
    ids = walk.ids(x)
    count = math.prod(ids.shape[axis] for axis in _axes(ids, dim))
    return walk.lowering.mul(_sum(walk, ids, dim, keepdim), walk.ids(1 / count))


def _deviation(walk: Walk, x: Any, dim: int | list[int] | None, correction: float = 1, keepdim: bool = False) -> Ids:
    ids = walk.ids(x)
    distance = walk.lowering.sub(ids, _mean(walk, ids, dim, keepdim=True))
    total = _sum(walk, walk.lowering.mul(distance, distance), dim, keepdim)
    count = ids.size // max(total.size, 1)
    return walk.lowering.elementwise("sqrt", walk.lowering.mul(total, walk.ids(1 / (count - correction))))


def _cumulative(walk: Walk, x: Any, dim: int) -> Ids:
    ids = np.moveaxis(walk.ids(x), dim, 0)
    sums = [ids[0]]
    for following in ids[1:]:
        sums.append(walk.lowering.add(sums[-1], following))
    return np.moveaxis(np.stack(sums), 0, dim)


ARITHMETIC: dict[str, Operation] = {
    "add": lambda walk, a, b, alpha=1: walk.lowering.add(walk.ids(a), _scaled(walk, b, alpha)),
    "sub": lambda walk, a, b, alpha=1: walk.lowering.sub(walk.ids(a), _scaled(walk, b, alpha)),
    "rsub": lambda walk, a, b, alpha=1: walk.lowering.sub(walk.ids(b), _scaled(walk, a, alpha)),
    "mul": lambda walk, a, b: walk.lowering.mul(walk.ids(a), walk.ids(b)),
    "div.Tensor": lambda walk, a, b: walk.lowering.div(walk.ids(a), walk.ids(b)),
    "reciprocal": lambda walk, x: walk.lowering.div(walk.ids(1.0), walk.ids(x)),
    "neg": lambda walk, x: walk.lowering.mul(walk.ids(x), walk.ids(-1.0)),
    "addmm": lambda walk, bias, x, w: walk.lowering.matmul(walk.ids(x), w, walk.known, bias),
    "mm": lambda walk, x, w: walk.lowering.matmul(walk.ids(x), w, walk.known),
    "gt": _compare("greater"),
    "ge": _compare("greater_equal"),
    "lt": _compare("greater", turned=True),
    "le": _compare("greater_equal", turned=True),
    "eq": _compare("equal"),
    "ne": lambda walk, a, b: _not(walk, _compare("equal")(walk, a, b)),
    "logical_not": _not,
    "bitwise_not": _not,
    "logical_and": lambda walk, a, b: walk.lowering.mul(walk.ids(a), walk.ids(b)),
    "bitwise_and": lambda walk, a, b: walk.lowering.mul(walk.ids(a), walk.ids(b)),
    "where.self": lambda walk, c, a, b: walk.lowering.elementwise("where", walk.ids(c), walk.ids(a), walk.ids(b)),
    "maximum": _maximum,
    "minimum": _minimum,
    "amax": _maximum_over,
    "exp": _unary("exp"),
    "log": _unary("log"),
    "sigmoid": _unary("sigmoid"),
    "tanh": _unary("tanh"),
    "sqrt": _unary("sqrt"),
    "abs": _unary("abs"),
    "round.default": _unary("round"),
    "floor": _unary("floor"),
    "ceil": lambda walk, x: _minus(walk, walk.lowering.elementwise("floor", _minus(walk, walk.ids(x)))),
    "silu": _unary("silu"),
    "softplus": _softplus,
    "elu": _elu,
    "relu": lambda walk, x: _clamp(walk, x, min=0.0),
    "clamp.default": _clamp,
    "clamp_min.default": lambda walk, x, low: _clamp(walk, x, min=low),
    "pow.Tensor_Scalar": _power,
    "rsqrt": _inverse_root,
    "sum": _sum,
    "mean": _mean,
    "std.correction": _deviation,
    "cumsum": _cumulative,
}
