"""A period in the machine's own numbers: once as it is played, once as it is played in reverse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.inventory.native.ordering import ordered
from models.inventory.native.placing import Lives, Way, gradient_lives, packed, played, reversed_way, value_lives
from models.inventory.native.program import OPS, UNIFORM, Draft, Flags, Ids, Piece

WORDS = 15
"""Whole numbers in an instruction (machine.cpp): op, count, out, three operands and their steps, where the gradients of
these four lie, which operands want one, and whether it is undone."""


@dataclass(frozen=True)
class Code:
    """Instructions for one way through a period, as machine.cpp defines them.

    words (instruction, WORDS), numbers (instruction, 2), pool: column numbers of affine maps. turn: how many come
    before gradients flow. columns, gradients: how many there are of either. states, cost: where the state and the cost
    are at the end of the period, before gradients flow; given_states, given_cost: where theirs are (-1: nowhere).
    """

    words: Ids
    numbers: NDArray[np.float64]
    pool: NDArray[np.int32]
    turn: int
    states: NDArray[np.int32]
    cost: int
    given_states: NDArray[np.int32]
    given_cost: int
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
    columns = _Columns(pieces, draft)
    return Program(
        _encoded(played(pieces), pieces, draft, columns),
        _encoded(reversed_way(pieces, draft), pieces, draft, columns),
        draft.uniforms[columns.uniforms],
        len(draft.inputs),
    )


class _Columns:
    """The places that uniforms, inputs and the state at the start have, whatever the way.

    nobody: where an affine map puts gradients that nobody wants, beside those that are wanted.
    """

    def __init__(self, pieces: list[Piece], draft: Draft) -> None:
        seen = [draft.ends]
        for piece in pieces:
            seen += [ids.ravel() for ids in (piece.operands[:1] if _shares(piece) else piece.operands)]
        ids = np.unique(np.concatenate(seen))
        self.uniforms = ids[ids >= UNIFORM] - UNIFORM
        self._parameters = draft.uniforms.astype(np.int64)
        self._uniform_place = np.full(len(draft.uniforms), -1, dtype=np.int64)
        self._uniform_place[self.uniforms] = np.arange(len(self.uniforms))
        given = (draft.inputs, draft.states)
        self.fixed = len(self.uniforms) + len(draft.inputs) + len(draft.states)
        self.values = np.full(len(draft.wants), -1, dtype=np.int64)
        self.values[np.concatenate(given)] = np.arange(len(self.uniforms), self.fixed)
        self.gradients = np.full(len(draft.wants), -1, dtype=np.int64)
        self.nobody = len(self.uniforms) + len(draft.states)
        self.gradients[draft.states] = np.arange(len(self.uniforms), self.nobody)
        self.fixed_gradients = self.nobody + 1

    def placed(self, places: Ids, ids: Ids) -> Ids:
        """Where columns lie; -1: nowhere."""
        uniform = ids >= UNIFORM
        result = places[np.where(uniform, 0, ids)]
        result[uniform] = self._uniform_place[ids[uniform] - UNIFORM]
        return np.asarray(result)

    def parameters(self, ids: Ids) -> Ids:
        """Which parameters uniform columns hold."""
        return np.asarray(self._parameters[ids - UNIFORM])


def _encoded(way: Way, pieces: list[Piece], draft: Draft, columns: _Columns) -> Code:
    turns = way.turn < len(way.steps)
    starts, room = _starts(value_lives(way, pieces, draft), pieces)
    places, gradients, gradient_room = columns.values.copy(), columns.gradients.copy(), 0
    if turns:
        lives = gradient_lives(way, pieces, draft)
        own, gradient_room = _starts(lives, pieces)
        for number, start in zip(lives.pieces, own, strict=True):
            _lay(gradients, pieces[number], columns.fixed_gradients + start)
    encoder = _Encoder(columns, places, gradients)
    at_turn = places
    life = 0
    for time, (number, undo) in enumerate(way.steps):
        if time == way.turn:
            at_turn = places.copy()
        if not undo:
            _lay(places, pieces[number], columns.fixed + starts[life])
            life += 1
        encoder.take(pieces[number], undo)
    at_end = [columns.placed(where, draft.ends).tolist() for where in (at_turn, gradients)]
    gradient_room = columns.fixed_gradients + gradient_room if turns else 0
    return encoder.finish(way.turn, at_end, columns.fixed + room, gradient_room)


def _starts(lives: Lives, pieces: list[Piece]) -> tuple[Ids, int]:
    sizes = np.array([pieces[number].out.size for number in lives.pieces], dtype=np.int64)
    return packed(lives.births, lives.deaths, sizes)


def _lay(places: Ids, piece: Piece, first: int) -> None:
    places[piece.out.ravel()] = first + np.arange(piece.out.size)


def _shares(piece: Piece) -> bool:
    return piece.op in ("shift", "scale")


class _Encoder:
    """Writes instructions: stretches along which all columns of a piece go on in steps of one, or stay."""

    def __init__(self, columns: _Columns, places: Ids, gradients: Ids) -> None:
        self._columns, self._places, self._gradients = columns, places, gradients
        self._words: list[Ids] = []
        self._numbers: list[NDArray[np.float64]] = []
        self._pool: list[Ids] = []
        self._pooled = 0

    def take(self, piece: Piece, undo: bool) -> None:
        """Adds the instructions of a step."""
        words = self._affine(piece, undo) if piece.op == "affine" else self._elementwise(piece, undo)
        words[:, 0] = OPS.index(piece.op)
        words[:, WORDS - 1] = undo
        self._words.append(words)
        self._numbers.append(np.tile(np.array(piece.numbers), (len(words), 1)))

    def finish(self, turn: int, at_end: list[list[int]], columns: int, gradients: int) -> Code:
        """All that was taken; turn: how many steps come before gradients flow. at_end: where the state and, last, the
        cost are at the end of the period, and where their gradients are."""
        (*states, cost), (*given_states, given_cost) = at_end
        return Code(
            words=np.concatenate((*self._words, np.zeros((0, WORDS), dtype=np.int64))),
            numbers=np.concatenate((*self._numbers, np.zeros((0, 2)))),
            pool=np.concatenate((*self._pool, np.zeros(0, dtype=np.int64))).astype(np.int32),
            turn=sum(len(words) for words in self._words[:turn]),
            states=np.array(states, dtype=np.int32),
            cost=cost,
            given_states=np.array(given_states, dtype=np.int32),
            given_cost=given_cost,
            columns=columns,
            gradients=gradients,
        )

    def _elementwise(self, piece: Piece, undo: bool) -> Ids:
        ids = np.stack((piece.out, *piece.operands))
        wants: Flags = piece.wants & undo
        lying, gradients = (self._columns.placed(places, ids) for places in (self._places, self._gradients))
        if _shares(piece):
            ids[2] = lying[2] = gradients[2] = self._columns.parameters(piece.operands[1])
        gradients[0] = gradients[0] if undo else -1
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

    def _affine(self, piece: Piece, undo: bool) -> Ids:
        ins, out = piece.operands[0], piece.out
        pools = {3: self._columns.placed(self._places, ins)}
        if undo:
            pools[9] = self._columns.placed(self._gradients, out)
            inwards = self._columns.placed(self._gradients, ins)
            pools[10] = np.where(inwards < 0, self._columns.nobody, inwards)
        else:
            pools[5] = self._columns.placed(self._places, out)
        words = np.zeros((1, WORDS), dtype=np.int64)
        words[0, 1], words[0, 4], words[0, 6] = len(ins), ins.shape[1], out.shape[1]
        words[0, 7], words[0, 8] = piece.weight + piece.first * out.shape[1], piece.bias
        words[0, 11], words[0, 12] = piece.weight + piece.first, piece.inputs
        words[0, 13] = undo and piece.wants.any()
        for word, ids in pools.items():
            words[0, word] = self._pooled
            self._pool.append(ids.ravel())
            self._pooled += ids.size
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
