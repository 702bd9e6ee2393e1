"""An exported order graph as differentiable tensors: attacks descend through the very graph that is shipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from models.inventory.layout import Layout
from models.inventory.observation import Observation
from quaestor.errors import QuaestorError
from quaestor.export.inventory_policy import INPUTS, NOISES, TERMS


class TorchGraph:
    """An order policy that evaluates an ONNX graph, node by node, with gradients to its inputs."""

    def __init__(self, graph: bytes, window: int) -> None:
        model = onnx.load_from_string(graph)
        self._window = window
        self._nodes = [(node, _attributes(node)) for node in _needed(model.graph, "desired")]
        self._constants = {each.name: _tensor(each) for each in model.graph.initializer}
        unknown = sorted({node.op_type for node, _ in self._nodes} - set(OPERATORS))
        if unknown:
            raise QuaestorError(f"No gradient through this graph: its operators {', '.join(unknown)} are not known.")

    @property
    def window(self) -> int:
        """How many past demands it looks at, in periods."""
        return self._window

    def __call__(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units; the observation carries its noise already."""
        seen = (observation.on_hand, observation.in_transit, observation.past_demand, observation.calendar)
        values: dict[str, Tensor | None] = {"": None, **self._constants}
        values.update(zip(INPUTS, seen, strict=True))
        values.update({name: torch.zeros_like(tensor) for name, tensor in zip(NOISES, seen[:3], strict=True)})
        values.update({name: getattr(layout, name).to(observation.on_hand.dtype) for name in TERMS})
        for node, attributes in self._nodes:
            arguments = [values[name] for name in node.input]
            values[node.output[0]] = OPERATORS[node.op_type](arguments, attributes)
        desired = values["desired"]
        assert desired is not None
        return desired


def _needed(graph: onnx.GraphProto, output: str) -> list[onnx.NodeProto]:
    """The nodes an output depends on, in their order."""
    wanted, kept = {output}, []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    return kept[::-1]


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    found = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    return {name: _tensor(value) if isinstance(value, onnx.TensorProto) else value for name, value in found.items()}


def _tensor(value: onnx.TensorProto) -> Tensor:
    return torch.from_numpy(numpy_helper.to_array(value).copy())


def _axes(argument: Tensor | None, attributes: dict[str, Any]) -> list[int]:
    return argument.tolist() if argument is not None else list(attributes.get("axes", ()))


def _slice(a: Sequence[Any], _: dict[str, Any]) -> Tensor:
    data, starts, ends = a[0], a[1].tolist(), a[2].tolist()
    axes = a[3].tolist() if len(a) > 3 and a[3] is not None else list(range(len(starts)))
    steps = a[4].tolist() if len(a) > 4 and a[4] is not None else [1] * len(starts)
    index: list[Any] = [slice(None)] * data.dim()
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[axis] = slice(start, end, step)
    return data[tuple(index)]


def _gather(a: Sequence[Any], k: dict[str, Any]) -> Tensor:
    axis = k.get("axis", 0) % a[0].dim()
    index = torch.where(a[1] < 0, a[1] + a[0].shape[axis], a[1])
    chosen = a[0].index_select(axis, index.flatten())
    return chosen.reshape(*a[0].shape[:axis], *index.shape, *a[0].shape[axis + 1 :])


def _expand(a: Sequence[Any], _: dict[str, Any]) -> Tensor:
    return a[0].expand(torch.broadcast_shapes(a[0].shape, tuple(a[1].tolist())))


def _constant_of_shape(a: Sequence[Any], k: dict[str, Any]) -> Tensor:
    value = k.get("value", torch.zeros(1))
    return value.expand(tuple(a[0].tolist())).clone()


def _scatter_elements(a: Sequence[Any], k: dict[str, Any]) -> Tensor:
    how = {b"none": None, b"add": "sum", b"max": "amax"}[k.get("reduction", b"none")]
    axis = k.get("axis", 0)
    return a[0].scatter(axis, a[1], a[2]) if how is None else a[0].scatter_reduce(axis, a[1], a[2], how)


def _scatter_nd(a: Sequence[Any], k: dict[str, Any]) -> Tensor:
    index = tuple(a[1].unbind(-1))
    return a[0].index_put(index, a[2], accumulate=k.get("reduction", b"none") == b"add")


def _reshape(a: Sequence[Any], _: dict[str, Any]) -> Tensor:
    shape = [a[0].shape[axis] if size == 0 else size for axis, size in enumerate(a[1].tolist())]
    return a[0].reshape(shape)


def _pad(a: Sequence[Any], _: dict[str, Any]) -> Tensor:
    sizes, dims = a[1].tolist(), a[0].dim()
    axes = a[3].tolist() if len(a) > 3 and a[3] is not None else list(range(dims))
    before, after = [0] * dims, [0] * dims
    for position, axis in enumerate(axes):
        before[axis], after[axis] = sizes[position], sizes[position + len(axes)]
    flat = [size for axis in reversed(range(dims)) for size in (before[axis], after[axis])]
    fill = float(a[2]) if len(a) > 2 and a[2] is not None else 0.0
    return torch.nn.functional.pad(a[0], flat, value=fill)


def _reduced(of: Callable[..., Tensor]) -> Callable[[Sequence[Any], dict[str, Any]], Tensor]:
    def reduce(a: Sequence[Any], k: dict[str, Any]) -> Tensor:
        axes = _axes(a[1] if len(a) > 1 else None, k) or list(range(a[0].dim()))
        return of(a[0], dim=axes, keepdim=bool(k.get("keepdims", 1)))

    return reduce


def _clip(a: Sequence[Any], _: dict[str, Any]) -> Tensor:
    low, high = (*a[1:], None, None)[:2]
    value = a[0] if low is None else torch.maximum(a[0], low)
    return value if high is None else torch.minimum(value, high)


def _squeeze(a: Sequence[Any], k: dict[str, Any]) -> Tensor:
    for axis in sorted((axis % a[0].dim() for axis in _axes(a[1] if len(a) > 1 else None, k)), reverse=True):
        a = (a[0].squeeze(axis),)
    return a[0]


def _unsqueeze(a: Sequence[Any], k: dict[str, Any]) -> Tensor:
    data, axes = a[0], _axes(a[1] if len(a) > 1 else None, k)
    for axis in sorted(axis % (data.dim() + len(axes)) for axis in axes):
        data = data.unsqueeze(axis)
    return data


DTYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}

OPERATORS: dict[str, Callable[[Sequence[Any], dict[str, Any]], Tensor]] = {
    "Abs": lambda a, k: a[0].abs(),
    "Add": lambda a, k: a[0] + a[1],
    "Cast": lambda a, k: a[0].to(DTYPES[k["to"]]),
    "Clip": _clip,
    "Concat": lambda a, k: torch.cat(list(a), dim=k["axis"]),
    "Constant": lambda a, k: k["value"],
    "ConstantOfShape": _constant_of_shape,
    "CumSum": lambda a, k: a[0].cumsum(int(a[1])),
    "Div": lambda a, k: a[0] / a[1] if a[0].is_floating_point() else a[0] // a[1],
    "Elu": lambda a, k: torch.nn.functional.elu(a[0], k.get("alpha", 1.0)),
    "Equal": lambda a, k: a[0] == a[1],
    "Exp": lambda a, k: a[0].exp(),
    "Expand": _expand,
    "Gather": _gather,
    "GatherElements": lambda a, k: a[0].gather(k.get("axis", 0), a[1]),
    "GatherND": lambda a, k: a[0][tuple(a[1].unbind(-1))],
    "Gemm": lambda a, k: (
        (a[0].mT if k.get("transA") else a[0]) @ (a[1].mT if k.get("transB") else a[1]) * k.get("alpha", 1.0)
        + (a[2] * k.get("beta", 1.0) if len(a) > 2 else 0.0)
    ),
    "Greater": lambda a, k: a[0] > a[1],
    "GreaterOrEqual": lambda a, k: a[0] >= a[1],
    "Identity": lambda a, k: a[0],
    "And": lambda a, k: a[0] & a[1],
    "LessOrEqual": lambda a, k: a[0] <= a[1],
    "Not": lambda a, k: ~a[0],
    "Less": lambda a, k: a[0] < a[1],
    "Log": lambda a, k: a[0].log(),
    "MatMul": lambda a, k: a[0] @ a[1],
    "Max": lambda a, k: a[0] if len(a) == 1 else torch.maximum(a[0], a[1]),
    "Min": lambda a, k: a[0] if len(a) == 1 else torch.minimum(a[0], a[1]),
    "Mul": lambda a, k: a[0] * a[1],
    "Neg": lambda a, k: -a[0],
    "Pad": _pad,
    "Pow": lambda a, k: a[0] ** a[1],
    "Reciprocal": lambda a, k: a[0].reciprocal(),
    "ReduceMean": _reduced(torch.mean),
    "ReduceSum": _reduced(torch.sum),
    "Relu": lambda a, k: a[0].relu(),
    "Reshape": _reshape,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "Shape": lambda a, k: torch.tensor(a[0].shape)[slice(k.get("start", 0), k.get("end"))],
    "Sigmoid": lambda a, k: a[0].sigmoid(),
    "Sign": lambda a, k: a[0].sign(),
    "Slice": _slice,
    "Softplus": lambda a, k: torch.nn.functional.softplus(a[0]),
    "Sqrt": lambda a, k: a[0].sqrt(),
    "Squeeze": _squeeze,
    "Sub": lambda a, k: a[0] - a[1],
    "Sum": lambda a, k: sum(a[1:], a[0]),
    "Tanh": lambda a, k: a[0].tanh(),
    "Transpose": lambda a, k: a[0].permute(*k["perm"]),
    "Unsqueeze": _unsqueeze,
    "Where": lambda a, k: torch.where(a[0], a[1], a[2]),
}
