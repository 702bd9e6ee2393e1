"""Looks through an ONNX graph before it is loaded: a graph is a program, and its format promises nothing.

Field numbers are those of onnx.proto (ONNX 1.21). Refused are data outside the graph, operators that are not ONNX's
own, versions newer than those that were tested, tensors that are larger than what is there, and weights that are
not numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

import numpy as np

from quaestor.errors import QuaestorError
from quaestor.export.protobuf import Value, fields, integers, numbers, text

NEWEST_OPERATORS = {"": 18, "ai.onnx": 18, "ai.onnx.ml": 3}
NEWEST_FORMAT = 10
MOST_ELEMENTS = 1 << 27
"""Of any one tensor that a graph declares."""

_SIZES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8}
_FLOATS = {1: "<f4", 10: "<f2", 11: "<f8"}
_INT64, _TEXT = 7, 8
_SHAPED_BY = {"ConstantOfShape": 0, "Expand": 1, "Reshape": 1, "Tile": 1}
"""The operators whose result is as large as a constant says, and which input says it."""


class _RefusedError(Exception):
    """Why a graph is not loaded."""


@dataclass
class _Found:
    """What a graph holds that is judged together: constants by name, and the inputs that say shapes."""

    shapes: dict[str, list[int]] = field(default_factory=dict)
    wanted: list[tuple[str, str]] = field(default_factory=list)


def refuse_unsafe(graph: bytes, where: str) -> None:
    """Raises QuaestorError, with the reason, for a graph that will not be loaded."""
    try:
        _model(memoryview(graph))
    except _RefusedError as reason:
        raise QuaestorError(f"{where} is refused: {reason}.") from None
    except (ValueError, UnicodeDecodeError, RecursionError):
        raise QuaestorError(f"{where} is not a graph that can be run: its bytes are no ONNX model.") from None


def _model(model: memoryview) -> None:
    found = _Found()
    domains: dict[str, int] = {}
    graphs = 0
    for number, kind, value in fields(model):
        if number == 1:
            (version,) = integers(kind, value)
            _refuse(version > NEWEST_FORMAT, f"its format {version} is newer than {NEWEST_FORMAT}")
        elif number == 7:
            graphs += 1
            _graph(_message(value), found)
        elif number == 8:
            parts = {n: (k, v) for n, k, v in fields(_message(value))}
            domain = text(parts[1][1]) if 1 in parts else ""
            domains[domain] = integers(*parts[2])[0] if 2 in parts else 0
        elif number in (20, 25):
            raise _RefusedError("it brings functions or training steps of its own")
    _refuse(graphs != 1 or not domains, "it is no ONNX model")
    for domain, version in domains.items():
        newest = NEWEST_OPERATORS.get(domain)
        _refuse(newest is None, f"it uses operators of {domain!r}, which are not ONNX's own")
        _refuse(
            newest is not None and version > newest,
            f"its operators ({domain or 'ONNX'} {version}) are newer than {newest}",
        )
    for operator, name in found.wanted:
        size = prod(max(entry, 1) for entry in found.shapes.get(name, ()))
        _refuse(size > MOST_ELEMENTS, f"a {operator} declares a tensor of {size:,} elements")


def _graph(graph: memoryview, found: _Found) -> None:
    for number, _, value in fields(graph):
        if number == 1:
            _node(_message(value), found)
        elif number == 5:
            _tensor(_message(value), found)
        elif number in (11, 12, 13):
            _declared(_message(value))
        elif number == 15:
            raise _RefusedError("it holds sparse tensors")


def _node(node: memoryview, found: _Found) -> None:
    operator, inputs, outputs = "", [], []
    held: list[int] | None = None
    for number, _, value in fields(node):
        if number == 1:
            inputs.append(text(value))
        elif number == 2:
            outputs.append(text(value))
        elif number == 4:
            operator = text(value)
        elif number == 7:
            domain = text(value)
            _refuse(domain not in NEWEST_OPERATORS, f"it uses operators of {domain!r}, which are not ONNX's own")
        elif number == 5:
            held = _attribute(_message(value), found) or held
    if operator == "Constant" and held and outputs:
        found.shapes[outputs[0]] = held
    place = _SHAPED_BY.get(operator)
    if place is not None and place < len(inputs):
        found.wanted.append((operator, inputs[place]))


def _attribute(attribute: memoryview, found: _Found) -> list[int] | None:
    held: list[int] | None = None
    for number, kind, value in fields(attribute):
        if number == 5:
            held = _tensor(_message(value), found)
        elif number == 10:
            _tensor(_message(value), found)
        elif number in (6, 11):
            _graph(_message(value), found)
        elif number in (2, 7):
            _refuse(bool(np.isnan(numbers(value, "<f4")).any()), "an attribute is not a number (NaN)")
        elif number in (22, 23):
            raise _RefusedError("it holds sparse tensors")
        elif number == 8 and kind == 2:
            held = integers(kind, value)
    return held


def _tensor(tensor: memoryview, found: _Found) -> list[int] | None:
    """Checks a constant; returns its values where it could be a shape."""
    dims: list[int] = []
    element, name, given, count = 0, "", 0, 0
    whole: list[int] = []
    for number, kind, value in fields(tensor):
        if number == 1:
            dims += integers(kind, value)
        elif number == 2:
            (element,) = integers(kind, value)
        elif number == 8:
            name = text(value)
        elif number == 13 or (number == 14 and value != 0):
            raise _RefusedError("its weights lie in another file (external data)")
        elif number == 9:
            given = len(_message(value))
            if element in _FLOATS:
                _refuse_nan(value, _FLOATS[element])
            elif element == _INT64 and given <= 8 * 16:
                whole = np.frombuffer(_message(value), dtype="<i8").tolist()
        elif number in (4, 10):
            _refuse_nan(value, "<f4" if number == 4 else "<f8")
            count += len(_message(value)) // (4 if number == 4 else 8)
        elif number in (5, 7, 11):
            values = integers(kind, value)
            count += len(values)
            whole += values[:16]
        elif number == 6:
            count += 1
    _refuse(element != _TEXT and element not in _SIZES, f"a constant has elements of kind {element}")
    size = prod(dims)
    _refuse(min(dims, default=1) < 0 or size > MOST_ELEMENTS, f"a constant declares {size:,} elements")
    _refuse(
        given != size * _SIZES.get(element, 0) if given else count != size, "a constant is not as large as it declares"
    )
    if name and whole and element == _INT64:
        found.shapes[name] = whole
    return whole if element == _INT64 else None


def _declared(info: memoryview) -> None:
    """An input, output or intermediate tensor: a fixed size may not be huge."""
    sizes = [dim for number, kind, value in _walk(info, (2, 1, 2, 1)) if number == 1 for dim in integers(kind, value)]
    _refuse(prod(max(size, 1) for size in sizes) > MOST_ELEMENTS, f"it declares a tensor of shape {sizes}")


def _walk(message: memoryview, path: tuple[int, ...]) -> Iterator[tuple[int, int, Value]]:
    """The fields inside messages nested as `path` says: type, tensor type, shape, dimension."""
    for number, kind, value in fields(message):
        if not path:
            yield number, kind, value
        elif number == path[0] and not isinstance(value, int):
            yield from _walk(value, path[1:])


def _message(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("expected a message")
    return value


def _refuse_nan(value: Value, dtype: str) -> None:
    _refuse(bool(np.isnan(numbers(value, dtype)).any()), "a weight is not a number (NaN)")


def _refuse(wrong: bool, reason: str) -> None:
    if wrong:
        raise _RefusedError(reason)
