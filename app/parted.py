"""Turns segments into frames: what each earns, what the candidate gains there, and which decisions change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import polars as pl

from app.style import shown
from quaestor.registry.segments import ALL, LEAST_ROUNDS, LEVELS, Segment, Segments

Side: TypeAlias = Literal["observed", "candidate", "incumbent"]
LEFT_OUT = f"Shown are the {LEVELS} largest levels of {LEAST_ROUNDS} rounds or more; all rounds count in the first row."
"""What is not drawn."""
_SCHEMA = {
    "segment": pl.String, "who": pl.String, "value": pl.Float64, "lower": pl.Float64, "upper": pl.Float64,
    "rounds": pl.Int64,
}  # fmt: skip


def features(found: Segments) -> tuple[str, ...]:
    """The features by which rounds are parted."""
    return tuple(dict.fromkeys(each.feature for each in found.segments))


def of_feature(found: Segments, feature: str) -> tuple[Segment, ...]:
    """All rounds, then each level of a feature, the largest first."""
    return (found.everything, *(each for each in found.segments if each.feature == feature))


def values(segments: Sequence[Segment], sides: Sequence[Side]) -> pl.DataFrame:
    """The reward a round in each segment: segment, who, value, lower, upper, rounds."""
    rows = [
        (name(each), side, interval.value, interval.lower, interval.upper, each.rounds)
        for each in segments
        for side in sides
        for interval in (getattr(each, side),)
    ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def one(segments: Sequence[Segment], figure: Literal["gain", "changed"]) -> pl.DataFrame:
    """The gain, or the share of decisions that change, in each segment: segment, who, value, lower, upper, rounds."""
    rows = []
    for each in segments:
        interval = each.gain if figure == "gain" else each.changed
        rows.append((name(each), "candidate", interval.value, interval.lower, interval.upper, each.rounds))
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def moves(found: Segments) -> pl.DataFrame:
    """Which action gives way to which: before, after, share of all decisions."""
    rows = [(each.before, each.after, f"{each.share:.2%}") for each in found.moves]
    return pl.DataFrame(
        rows, schema={"before": pl.String, "after": pl.String, "share of decisions": pl.String}, orient="row"
    )


def name(segment: Segment) -> str:
    """How a segment is named on an axis."""
    return ALL if segment.level == ALL else shown(segment.level, 40)
