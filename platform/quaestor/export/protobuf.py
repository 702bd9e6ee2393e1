"""Walks over protocol-buffer bytes: enough to look into a graph before a large library parses it."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Value = int | memoryview


def fields(message: memoryview) -> Iterator[tuple[int, int, Value]]:
    """Every field of a message as (number, wire type, value): an int, or bytes for everything longer.

    Raises ValueError where the bytes are no message.
    """
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield number, kind, value
            continue
        if kind == BYTES:
            length, at = _varint(message, at)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} is not known")
        if at + length > end:
            raise ValueError("a field reaches beyond its message")
        yield number, kind, message[at : at + length]
        at += length


def integers(kind: int, value: Value) -> list[int]:
    """The signed 64-bit integers of a repeated field's entry, packed or not."""
    if isinstance(value, int):
        return [_signed(value)]
    if kind != BYTES:
        return [int(struct.unpack("<q", value)[0])] if len(value) == 8 else [int(struct.unpack("<i", value)[0])]
    found, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        found.append(_signed(number))
    return found


def numbers(value: Value, dtype: str) -> NDArray[np.float64]:
    """The floating-point numbers of a repeated field's entry, packed or not."""
    if isinstance(value, int):
        raise ValueError("a floating-point field holds an integer")
    return np.frombuffer(value, dtype=dtype).astype(np.float64)


def text(value: Value) -> str:
    """A text field; raises ValueError where it is none."""
    if isinstance(value, int):
        raise ValueError("a text field holds an integer")
    return str(value, "utf-8")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("a number has no end")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
