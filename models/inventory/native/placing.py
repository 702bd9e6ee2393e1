"""Where columns lie: what is no longer needed makes room, so that a period is played in little memory."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.inventory.native.program import UNIFORM, Draft, Flags, Ids, Piece


class Step(NamedTuple):
    """A piece is computed or, in reverse, undone: the gradient of its result passes to its operands."""

    piece: int
    undo: bool


@dataclass(frozen=True)
class Way:
    """One way through a period: its steps, and how many come before it turns and gradients begin to flow."""

    steps: tuple[Step, ...]
    turn: int


@dataclass(frozen=True)
class Lives:
    """The results, or the gradients of results, that a way needs room for, in the order in which they begin.

    pieces, births, deaths (life,): whose result, and the first and last step that reads or writes it.
    """

    pieces: Ids
    births: Ids
    deaths: Ids


def played(pieces: list[Piece]) -> Way:
    """All pieces, once."""
    return Way(tuple(Step(number, False) for number in range(len(pieces))), len(pieces))


def reversed_way(pieces: list[Piece], draft: Draft) -> Way:
    """What is undone after all that this, the state and the cost at the end need.

    A SiLU is computed twice, shortly before it is read: what it is computed from is kept anyway.
    """
    writer = writer_of(pieces, draft)
    undone, again = _undone(pieces, draft, writer), np.zeros(len(pieces), dtype=bool)
    again[_writers(writer, [draft.ends])] = True
    reads = [
        _writers(writer, read_when_undone(piece)) if gone else [] for piece, gone in zip(pieces, undone, strict=True)
    ]
    twice = {number for needed in reads for number in needed if pieces[number].op == "silu"}
    for needed in reads:
        again[needed] = True
    for number in reversed(range(len(pieces))):
        if again[number]:
            again[_writers(writer, pieces[number].operands)] = True
    steps = [Step(int(number), False) for number in np.flatnonzero(again)]
    turn = len(steps)
    for number in np.flatnonzero(undone)[::-1].tolist():
        for source in reads[number]:
            if source in twice:
                steps.append(Step(source, False))
                twice.remove(source)
        steps.append(Step(number, True))
    return Way(tuple(steps), turn)


def value_lives(way: Way, pieces: list[Piece], draft: Draft) -> Lives:
    """How long each result is needed; the state and the cost at the end are read when the way turns."""
    writer = writer_of(pieces, draft)
    current: dict[int, int] = {}
    born: list[int] = []
    births: list[int] = []
    deaths: list[int] = []
    for time, (number, undo) in enumerate(way.steps):
        piece = pieces[number]
        for source in _writers(writer, read_when_undone(piece) if undo else piece.operands):
            deaths[current[source]] = time
        if not undo:
            current[number] = len(born)
            born.append(number)
            births.append(time)
            deaths.append(time)
        if time == way.turn - 1:
            for source in _writers(writer, [draft.ends]):
                deaths[current[source]] = time
    return Lives(np.array(born, dtype=np.int64), np.array(births, dtype=np.int64), np.array(deaths, dtype=np.int64))


def gradient_lives(way: Way, pieces: list[Piece], draft: Draft) -> Lives:
    """How long each gradient is needed: from the first that adds to it until it is passed on."""
    writer = writer_of(pieces, draft)
    ends = _writers(writer, [_wanting(draft.ends, draft)])
    current = {number: life for life, number in enumerate(ends)}
    born, births, deaths = list(ends), [way.turn] * len(ends), [len(way.steps)] * len(ends)
    for time, (number, undo) in enumerate(way.steps):
        if undo:
            for source in _writers(writer, [_wanting(wanted, draft) for wanted in _wanted(pieces[number])]):
                if source not in current:
                    current[source] = len(born)
                    born.append(source)
                    births.append(time)
                    deaths.append(time)
            deaths[current[number]] = time
    return Lives(np.array(born, dtype=np.int64), np.array(births, dtype=np.int64), np.array(deaths, dtype=np.int64))


def writer_of(pieces: list[Piece], draft: Draft) -> Ids:
    """Which piece writes each column, (column,); -1: none does."""
    writer = np.full(len(draft.wants), -1, dtype=np.int64)
    for number, piece in enumerate(pieces):
        writer[piece.out.ravel()] = number
    return writer


def read_when_undone(piece: Piece) -> list[Ids]:
    """The columns whose values the gradient of a piece depends on."""
    of = dict(zip("abc", piece.operands, strict=False)) | {"out": piece.out}
    if piece.op in ("mul", "scale"):  # each factor's gradient is the other factor
        first, second = (bool(wants.any()) for wants in piece.wants)
        return [of["b"]] * first + [of["a"]] * second
    return [of[name] for name in _READ.get(piece.op, ())]


_READ = {
    **dict.fromkeys(("where", "log", "softplus", "silu", "clamp", "abs", "affine"), ("a",)),
    **dict.fromkeys(("exp", "sigmoid", "elu", "sqrt", "tanh"), ("out",)),
    "div": ("b", "out"),
}


def packed(births: Ids, deaths: Ids, sizes: Ids) -> tuple[Ids, int]:
    """Where blocks of these sizes start so that none that live at one time overlap, and how much room they take.

    births and deaths are inclusive; births rise. The first gap that is large enough is taken.
    """
    free: list[tuple[int, int]] = []
    ending: list[tuple[int, int, int]] = []
    starts, top = np.zeros(len(sizes), dtype=np.int64), 0
    for number, (birth, death, size) in enumerate(zip(births.tolist(), deaths.tolist(), sizes.tolist(), strict=True)):
        while ending and ending[0][0] < birth:
            _, start, length = heapq.heappop(ending)
            free = _joined(sorted([*free, (start, length)]))
        found = next((k for k, (_, length) in enumerate(free) if length >= size), None)
        if found is None:
            start, top = top, top + size
        else:
            start, length = free.pop(found)
            if length > size:
                free.insert(found, (start + size, length - size))
        starts[number] = start
        heapq.heappush(ending, (death, start, size))
    return starts, top


def _joined(gaps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    result = gaps[:1]
    for start, length in gaps[1:]:
        last, before = result[-1]
        if last + before == start:
            result[-1] = (last, before + length)
        else:
            result.append((start, length))
    return result


def _undone(pieces: list[Piece], draft: Draft, writer: Ids) -> Flags:
    """Through which pieces a gradient passes from the end of a period back to its start, or to weights."""
    met = np.zeros(len(pieces), dtype=bool)
    met[_writers(writer, [_wanting(draft.ends, draft)])] = True
    for number in reversed(range(len(pieces))):
        if met[number]:
            met[_writers(writer, [_wanting(wanted, draft) for wanted in _wanted(pieces[number])])] = True
    return met


def _wanted(piece: Piece) -> list[Ids]:
    """The operands of a piece that want a gradient."""
    if piece.op == "affine":
        return [piece.operands[0].ravel()] if piece.wants.any() else []
    return [ids[wants] for ids, wants in zip(piece.operands, piece.wants, strict=True)]


def _wanting(ids: Ids, draft: Draft) -> Ids:
    ids = ids[ids < UNIFORM]
    return np.asarray(ids[draft.wants[ids]])


def _writers(writer: Ids, columns: Iterable[Ids]) -> list[int]:
    """The pieces that write these columns."""
    ids = np.concatenate([np.zeros(0, dtype=np.int64), *(some.ravel() for some in columns)])
    numbers = writer[ids[ids < UNIFORM]]
    found: list[int] = np.unique(numbers[numbers >= 0]).tolist()
    return found
