"""Where columns lie: what is no longer needed makes room, so that a period is played in little memory."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from models.inventory.native.program import UNIFORM, Draft, Flags, Ids, Piece


@dataclass(frozen=True)
class Reversal:
    """What a period in reverse needs of each piece, (piece,) each.

    undone: a gradient passes from its result to its operands. again: it is computed again. kept: its result is read
    again when a piece is undone. met: the piece after which, in reverse, its result first has a gradient.
    """

    undone: Flags
    again: Flags
    kept: Flags
    met: Ids


def writer_of(pieces: list[Piece], draft: Draft) -> Ids:
    """Which piece writes each column, (column,); -1: none does."""
    writer = np.full(len(draft.wants), -1, dtype=np.int64)
    for number, piece in enumerate(pieces):
        writer[piece.out.ravel()] = number
    return writer


def reversal(pieces: list[Piece], draft: Draft) -> Reversal:
    """Follows gradients from the end of a period back to its start."""
    count = len(pieces)
    writer = writer_of(pieces, draft)
    met = np.full(count, -1, dtype=np.int64)
    undone, again, kept = (np.zeros(count, dtype=bool) for _ in range(3))
    for number in _written(writer, _wanting(np.append(draft.after, draft.cost), draft)):
        met[number] = count
    for number in reversed(range(count)):
        piece = pieces[number]
        undone[number] = met[number] >= 0 and (piece.op == "affine" or bool(piece.wants.any()))
        if undone[number]:
            for ids, wants in zip(piece.operands, piece.wants, strict=True):
                wanted = ids[np.broadcast_to(wants[:, None] if ids.ndim > 1 else wants, ids.shape)]
                for source in _written(writer, _wanting(wanted, draft)):
                    met[source] = max(met[source], number)
            for ids in read_when_undone(piece):
                kept[_written(writer, ids.ravel())] = True
    for number in reversed(range(count)):
        again[number] |= kept[number]
        if again[number]:
            for ids in pieces[number].operands:
                again[_written(writer, ids.ravel())] = True
    return Reversal(undone, again, kept, met)


def read_when_undone(piece: Piece) -> list[Ids]:
    """The columns whose values the gradient of a piece depends on."""
    of = dict(zip("abc", piece.operands, strict=False)) | {"out": piece.out}
    if piece.op == "mul":  # each factor's gradient is the other factor
        first, second = (bool(wants.any()) for wants in piece.wants)
        return [of["b"]] * first + [of["a"]] * second
    return [of[name] for name in _READ.get(piece.op, ())]


_READ = {
    **dict.fromkeys(("where", "log", "softplus", "silu", "clamp", "abs", "affine"), ("a",)),
    **dict.fromkeys(("exp", "sigmoid", "elu", "sqrt", "tanh"), ("out",)),
    "div": ("b", "out"),
}


def last_reader(pieces: list[Piece], draft: Draft, taking_part: Flags, forever: Flags) -> Ids:
    """The last of the pieces taking part that reads each piece's result, (piece,); `forever`: past the last."""
    writer = writer_of(pieces, draft)
    last = np.arange(len(pieces))
    for number in np.flatnonzero(taking_part):
        for ids in pieces[number].operands:
            last[_written(writer, ids.ravel())] = number
    return np.where(forever, len(pieces), last)


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


def _wanting(ids: Ids, draft: Draft) -> Ids:
    ids = ids[ids < UNIFORM]
    return ids[draft.wants[ids]]


def _written(writer: Ids, ids: Ids) -> Ids:
    numbers = writer[ids[ids < UNIFORM]]
    return np.unique(numbers[numbers >= 0])
