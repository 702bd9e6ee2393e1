"""Where a candidate decides otherwise than the incumbent, and what that is worth there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.log.batch import LoggedBatch, MaturedBatch
from quaestor.ope.contributions import Contributions, from_terms
from quaestor.ope.dr import dr
from quaestor.ope.interval import Interval, normal_interval
from quaestor.ope.target_rounds import target_rounds

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
    new, old = (dr(target_rounds(batch, target, predicted)) for target in (candidate, incumbent))
    earned = from_terms(batch.reward)
    changed = from_terms(0.5 * np.abs(candidate - incumbent).sum(axis=1))

    def segment(feature: str, level: str, parts: tuple[Contributions, ...]) -> Segment:
        whole, first, second, moved = parts
        found = (normal_interval(each, confidence) for each in (whole, first, second, first.minus(second), moved))
        return Segment(feature, level, len(whole.influence), *found)

    sides = (earned, new, old, changed)
    terms = [each.terms for each in sides]  # of linear estimates, so that a segment's value is a mean of its own
    return Segments(
        everything=segment(ALL, ALL, sides),
        segments=tuple(
            segment(feature, level, tuple(from_terms(each[index]) for each in terms))
            for feature, level, index in _levels(batch.logged)
        ),
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
