"""Where a candidate decides otherwise than the incumbent, and what that is worth there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.log.batch import LoggedBatch, MaturedBatch
from quaestor.ope.dr import dr
from quaestor.ope.interval import Interval, normal_interval, paired_interval
from quaestor.ope.protocol import paired_difference
from quaestor.ope.target_rounds import TargetRounds, target_rounds

FEATURES, LEVELS, MOVES = 12, 12, 40
"""How many category features, levels of each, and moves between actions are kept; what is rarer is left out."""
LEAST_ROUNDS = 30

ALL = "all rounds"


@dataclass(frozen=True)
class Segment:
    """The rounds of one level of a category feature.

    observed: the reward they earned, whoever decided. candidate, incumbent and gain: the two values and their paired
    difference, doubly robust. changed: the share of decisions that change at the least, the total variation between
    the two policies' probabilities.
    """

    feature: str
    level: str
    rounds: int
    observed: Interval
    candidate: Interval
    incumbent: Interval
    gain: Interval
    changed: Interval


@dataclass(frozen=True)
class Move:
    """Decisions that go from one action to another, as a share of all; with the least change that leads from the one
    policy's probabilities to the other's."""

    before: str
    after: str
    share: float


@dataclass(frozen=True)
class Segments:
    """All rounds as one segment, the segments of each feature, largest first, and the largest moves."""

    everything: Segment
    segments: tuple[Segment, ...]
    moves: tuple[Move, ...]

    def as_json(self) -> dict[str, Any]:
        """The segments as plain values."""
        return asdict(self)


def by_segment(
    batch: MaturedBatch,
    candidate: NDArray[np.float64],
    incumbent: NDArray[np.float64],
    predicted: NDArray[np.float64],
    confidence: float = 0.95,
) -> Segments:
    """Compares two policies, probabilities (round, action) on the same rounds, in each segment of the log.

    predicted (round, action): from an oracle fitted on other rounds. Intervals hold for each segment by itself: of
    many, a few miss. Levels with fewer than 30 rounds are left out.
    """
    rounds = target_rounds(batch, candidate, predicted), target_rounds(batch, incumbent, predicted)
    changed = 0.5 * np.abs(candidate - incumbent).sum(axis=1)

    def segment(feature: str, level: str, index: NDArray[np.int64]) -> Segment:
        return _segment(feature, level, (rounds[0].rows(index), rounds[1].rows(index)), changed[index], confidence)

    return Segments(
        everything=segment(ALL, ALL, np.arange(len(batch))),
        segments=tuple(segment(*each) for each in _levels(batch.logged)),
        moves=_moves(batch.logged.actions, candidate, incumbent),
    )


def _levels(logged: LoggedBatch) -> Iterator[tuple[str, str, NDArray[np.int64]]]:
    names = [name for name in logged.context.columns if name.startswith("category_")][:FEATURES]
    for name in names:
        values = logged.context[name].fill_null("missing")
        counts = values.value_counts(name="rounds").sort("rounds", name, descending=[True, False])
        for level, count in counts.head(LEVELS).iter_rows():
            if count >= LEAST_ROUNDS:
                index = (values == level).arg_true().cast(pl.Int64).to_numpy()
                yield name.removeprefix("category_"), str(level), index


def _segment(
    feature: str, level: str, rounds: tuple[TargetRounds, TargetRounds], changed: NDArray[np.float64], confidence: float
) -> Segment:
    new, old = rounds
    return Segment(
        feature=feature,
        level=level,
        rounds=len(new),
        observed=paired_interval(new.reward, confidence),
        candidate=normal_interval(dr(new), confidence),
        incumbent=normal_interval(dr(old), confidence),
        gain=normal_interval(paired_difference(dr, new, old), confidence),
        changed=paired_interval(changed, confidence),
    )


def _moves(
    actions: tuple[str, ...], candidate: NDArray[np.float64], incumbent: NDArray[np.float64]
) -> tuple[Move, ...]:
    """The overlap of the two distributions stays; what one action loses goes to those that win, in proportion."""
    lost, won = np.maximum(incumbent - candidate, 0), np.maximum(candidate - incumbent, 0)
    total = np.maximum(won.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    shares = np.einsum("rf,rt->ft", lost, won / total) / len(candidate)
    order = np.argsort(-shares, axis=None)[:MOVES]
    pairs = (np.unravel_index(at, shares.shape) for at in order)
    return tuple(Move(actions[int(f)], actions[int(t)], float(shares[f, t])) for f, t in pairs if shares[f, t] > 0)
