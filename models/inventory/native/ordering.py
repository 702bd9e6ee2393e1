"""In which order the pieces of a period are computed: what belongs together soon after one another.

A layer of a policy over a large network is more than a cache holds. Pieces are cut into parts and each is computed just
before what first needs it, so that a part of the network goes through all layers while it is in cache.
"""

from __future__ import annotations

import numpy as np

from models.inventory.native.program import UNIFORM, Draft, Ids, Piece

MOST_COLUMNS = 1024
"""Columns that a part reads and writes, about: with 32 scenarios, an eighth of a second-level cache."""


def ordered(draft: Draft) -> list[Piece]:
    """The parts that the state and cost at the end depend on, each after all that it reads."""
    parts = [part for piece in _needed(draft) for part in _cut(piece)]
    writer = np.full(len(draft.wants), -1, dtype=np.int64)
    for number, part in enumerate(parts):
        writer[part.out.ravel()] = number
    taken = np.zeros(len(parts), dtype=bool)
    order: list[Piece] = []
    for root in _writers(writer, (draft.ends,)):
        waiting = [(root, False)]
        while waiting:
            number, ready = waiting.pop()
            if ready:
                order.append(parts[number])
            elif not taken[number]:
                taken[number] = True
                waiting.append((number, True))
                needs = [n for n in _writers(writer, parts[number].operands) if not taken[n]]
                waiting += [(need, False) for need in reversed(needs)]
    return order


def _cut(piece: Piece) -> list[Piece]:
    each = sum(ids.shape[1] for ids in (piece.out, *piece.operands)) if piece.op == "affine" else 2
    size = max(MOST_COLUMNS // each, 1)
    return [piece.part(slice(first, first + size)) for first in range(0, len(piece.out), size)]


def _needed(draft: Draft) -> list[Piece]:
    """The pieces without the elements and rows that nothing at the end depends on."""
    read = np.zeros(len(draft.wants), dtype=bool)
    read[draft.ends[draft.ends < UNIFORM]] = True
    needed: list[Piece] = []
    for piece in reversed(draft.pieces):
        wanted = np.asarray(read[piece.out].reshape(len(piece.out), -1).any(axis=1))
        if wanted.any():
            needed.append(piece.part(wanted))
            for ids in needed[-1].operands:
                read[ids[ids < UNIFORM]] = True
    return needed[::-1]


def _writers(writer: Ids, operands: tuple[Ids, ...]) -> list[int]:
    """The numbers of the parts that write these columns, in the order of the columns."""
    ids = np.concatenate([ids.ravel() for ids in operands])
    numbers = writer[ids[ids < UNIFORM]]
    found, first = np.unique(numbers[numbers >= 0], return_index=True)
    return [int(number) for number in found[np.argsort(first)]]
