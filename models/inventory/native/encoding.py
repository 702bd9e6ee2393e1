"""A period in the machine's own numbers: once as it is played, once as it is played in reverse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.inventory.native.ordering import ordered
from models.inventory.native.placing import Reversal, last_reader, packed, reversal
from models.inventory.native.program import OPS, UNIFORM, Draft, Flags, Ids, Piece

WORDS = 15
"""Whole numbers in an instruction (machine.cpp): op, count, out, three operands and their steps, where the gradients of
these four lie, which operands want one, and whether it is computed again in reverse."""


@dataclass(frozen=True)
class Code:
    """Instructions for one way through a period, as machine.cpp defines them.

    words (instruction, WORDS), numbers (instruction, 2), pool: column numbers of affine maps. columns, gradients: how
    many there are of either. states, cost: where the state and the cost are at the end of the period, or their
    gradients in reverse (-1: nowhere).
    """

    words: Ids
    numbers: NDArray[np.float64]
    pool: NDArray[np.int32]
    states: NDArray[np.int32]
    cost: int
    columns: int
    gradients: int


@dataclass(frozen=True)
class Program:
    """One period for the machine: played, and in reverse.

    uniforms: which parameter each of the first columns holds; they are followed by the `inputs` columns that are read
    anew each period and by those of the state at its start. Gradients: of uniforms, then of the state at the start.
    """

    play: Code
    reverse: Code
    uniforms: NDArray[np.int32]
    inputs: int


def encoded(draft: Draft) -> Program:
    """The program of a draft."""
    pieces = ordered(draft)
    back = reversal(pieces, draft)
    return Program(_played(pieces, draft), _reversed(pieces, draft, back), draft.uniforms, len(draft.inputs))


def _played(pieces: list[Piece], draft: Draft) -> Code:
    everything = np.ones(len(pieces), dtype=bool)
    ends = np.isin(np.arange(len(draft.wants)), np.append(draft.after, draft.cost))
    at_end = np.array([bool(ends[piece.out].any()) for piece in pieces], dtype=bool)
    places, columns = _places(pieces, draft, everything, last_reader(pieces, draft, everything, at_end))
    none = np.full(len(draft.wants), -1, dtype=np.int64)
    encoder = _Encoder(places, none)
    for piece in pieces:
        encoder.take(piece, computed=True, undone=False)
    return encoder.finish(_placed(places, draft.after), int(_placed(places, np.array([draft.cost]))[0]), columns, 0)


def _reversed(pieces: list[Piece], draft: Draft, back: Reversal) -> Code:
    places, columns = _places(pieces, draft, back.again, last_reader(pieces, draft, back.again, back.kept))
    gradients, room = _gradient_places(pieces, draft, back)
    encoder = _Encoder(places, gradients)
    for piece, again, undone in zip(pieces, back.again.tolist(), back.undone.tolist(), strict=True):
        if again or undone:
            encoder.take(piece, computed=again, undone=undone)
    after, cost = _placed(gradients, draft.after), int(_placed(gradients, np.array([draft.cost]))[0])
    return encoder.finish(after, cost, columns, room)


def _places(pieces: list[Piece], draft: Draft, taking_part: Flags, last: Ids) -> tuple[Ids, int]:
    """Where each column lies, (column,) with -1 where it lies nowhere, and how many places that takes."""
    places = np.full(len(draft.wants), -1, dtype=np.int64)
    first = len(draft.uniforms)
    for ids in (draft.inputs, draft.states):
        places[ids] = np.arange(first, first + len(ids))
        first += len(ids)
    numbers = np.flatnonzero(taking_part)
    sizes = np.array([pieces[k].out.size for k in numbers], dtype=np.int64)
    starts, room = packed(numbers, last[numbers], sizes)
    for number, start in zip(numbers, starts, strict=True):
        places[pieces[number].out.ravel()] = first + start + np.arange(pieces[number].out.size)
    return places, first + room


def _gradient_places(pieces: list[Piece], draft: Draft, back: Reversal) -> tuple[Ids, int]:
    places = np.full(len(draft.wants), -1, dtype=np.int64)
    first = len(draft.uniforms) + len(draft.states)
    places[draft.states] = np.arange(len(draft.uniforms), first)
    numbers = np.flatnonzero(back.met >= 0)
    numbers = numbers[np.argsort(-back.met[numbers], kind="stable")]  # time runs backwards
    sizes = np.array([pieces[k].out.size for k in numbers], dtype=np.int64)
    starts, room = packed(len(pieces) - back.met[numbers], len(pieces) - numbers, sizes)
    for number, start in zip(numbers, starts, strict=True):
        places[pieces[number].out.ravel()] = first + start + np.arange(pieces[number].out.size)
    return places, first + room


def _placed(places: Ids, ids: Ids) -> Ids:
    return np.where(ids >= UNIFORM, ids - UNIFORM, places[np.where(ids >= UNIFORM, 0, ids)])


class _Encoder:
    """Writes instructions: stretches along which all columns of a piece go on in steps of one, or stay."""

    def __init__(self, places: Ids, gradients: Ids) -> None:
        self._places, self._gradients = places, gradients
        self._words: list[Ids] = []
        self._numbers: list[NDArray[np.float64]] = []
        self._pool: list[Ids] = []
        self._pooled = 0

    def take(self, piece: Piece, computed: bool, undone: bool) -> None:
        """Adds the instructions of a piece."""
        words = self._affine(piece, undone) if piece.op == "affine" else self._elementwise(piece, undone)
        words[:, 0] = OPS.index(piece.op)
        words[:, WORDS - 1] = computed
        self._words.append(words)
        self._numbers.append(np.tile(np.array(piece.numbers), (len(words), 1)))

    def finish(self, states: Ids, cost: int, columns: int, gradients: int) -> Code:
        """All that was taken."""
        return Code(
            words=np.concatenate((*self._words, np.zeros((0, WORDS), dtype=np.int64))),
            numbers=np.concatenate((*self._numbers, np.zeros((0, 2)))),
            pool=np.concatenate((*self._pool, np.zeros(0, dtype=np.int64))).astype(np.int32),
            states=states.astype(np.int32),
            cost=cost,
            columns=columns,
            gradients=gradients,
        )

    def _elementwise(self, piece: Piece, undone: bool) -> Ids:
        ids = np.stack((piece.out, *piece.operands))
        wants = piece.wants & undone
        lying = _placed(self._places, ids)
        gradients = _placed(self._gradients, ids)
        gradients[0] = np.where(undone, gradients[0], -1)
        gradients[1:] = np.where(wants, gradients[1:], -1)
        # What lies nowhere is never read, and must not end a stretch.
        first, count = _runs(
            np.concatenate((ids, np.where(lying < 0, ids, lying), np.where(gradients < 0, ids, gradients), 2 * wants))
        )
        words = np.zeros((len(first), WORDS), dtype=np.int64)
        words[:, 1], words[:, 2] = count, np.maximum(lying[0, first], 0)
        following = np.minimum(first + 1, ids.shape[1] - 1)
        for k in range(1, len(ids)):
            words[:, 1 + 2 * k] = np.maximum(lying[k, first], 0)
            words[:, 2 + 2 * k] = np.where(count > 1, ids[k, following] - ids[k, first], 1)
            words[:, 13] += wants[k - 1, first].astype(np.int64) << (k - 1)
        words[:, 9 : 9 + len(ids)] = np.maximum(gradients[:, first], 0).T
        return words

    def _affine(self, piece: Piece, undone: bool) -> Ids:
        ins, out = piece.operands[0], piece.out
        pools = [_placed(self._places, ins), _placed(self._places, out)]
        if undone:
            pools += [_placed(self._gradients, out), np.where(piece.wants, _placed(self._gradients, ins), 0)]
        words = np.zeros((1, WORDS), dtype=np.int64)
        words[0, 1], words[0, 4], words[0, 6], words[0, 13] = (
            len(ins),
            *(i.shape[1] for i in (ins, out)),
            undone and piece.wants.any(),
        )
        words[0, 7], words[0, 8] = piece.weight, piece.bias
        for word, ids in zip((3, 5, 9, 10), pools, strict=False):
            words[0, word] = self._pooled
            self._pool.append(np.maximum(ids, 0).ravel())
            self._pooled += ids.size
        if not undone:
            words[0, 9] = -1
        return words


def _runs(rows: Ids) -> tuple[Ids, Ids]:
    """Where each stretch begins along which every row goes on in steps of one, or stays; and how long it is."""
    count = rows.shape[1]
    steps = np.diff(rows, axis=1)
    broken = ((steps != 0) & (steps != 1)).any(axis=0)
    turns = np.flatnonzero(np.append(broken[1:] | (np.diff(steps, axis=1) != 0).any(axis=0), True)) + 1
    starts, first = [], 0
    while first < count:
        starts.append(first)
        alone = first == count - 1 or broken[first]
        first = first + 1 if alone else int(turns[np.searchsorted(turns, first, side="right")]) + 1
    return np.array(starts), np.diff(np.array([*starts, count]))
