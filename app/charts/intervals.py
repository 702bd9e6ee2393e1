"""Values and gains with their intervals, on one axis."""

from __future__ import annotations

import altair as alt
import polars as pl

from app.charts.axes import (
    FREE,
    HEIGHT,
    POLICIES,
    POLICY_COLOURS,
    POLICY_SHAPES,
    TOP,
    WORD_SCALES,
    Chart,
    above,
    numbers,
)  # fmt: skip
from app.style import GREY


def value_chart(frame: pl.DataFrame, quantity: str, unit: str) -> Chart:
    """Candidate and incumbent of each iteration with their intervals; frame: label, who, value, lower, upper."""
    base = alt.Chart(frame).encode(
        x=alt.X("label:N", sort=None, title="iteration", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("who:N", sort=POLICIES),
        color=alt.Color("who:N", scale=POLICY_COLOURS, legend=TOP),
        tooltip=["label", "who", *numbers("value", "lower", "upper")],
    )
    y = above(f"{quantity} ({unit})")
    bars = base.mark_rule(strokeWidth=2.5).encode(y=alt.Y("lower:Q", scale=FREE, axis=y), y2="upper:Q")
    points = base.mark_point(filled=True, opacity=1, size=90).encode(
        y=alt.Y("value:Q", scale=FREE, axis=y),
        shape=alt.Shape("who:N", scale=POLICY_SHAPES, legend=TOP),
    )
    return alt.layer(bars, points).properties(height=HEIGHT)


def gain_chart(frame: pl.DataFrame, unit: str) -> Chart:
    """Gains with their intervals on one axis with the zero line; frame: label, value, lower, upper, word.

    Better lies right of zero, whatever the quantity; sign, colour and word say the same.
    """
    colours, shapes = WORD_SCALES
    axis = alt.Axis(title=f"gain ({unit}), better to the right", titleAnchor="end", tickCount=6)
    x = alt.X("lower:Q", axis=axis, scale=alt.Scale(zero=True, nice=True, padding=12))
    base = alt.Chart(frame).encode(
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=260, labelOverlap=False)),
        color=alt.Color("word:N", scale=colours, legend=None),
        tooltip=["label", "word", *numbers("value", "lower", "upper")],
    )
    zero = alt.Chart(pl.DataFrame({"zero": [0.0]})).mark_rule(color=GREY, strokeWidth=1.5).encode(x="zero:Q")
    bars = base.mark_rule(strokeWidth=3).encode(x=x, x2="upper:Q")
    points = base.mark_point(filled=True, size=130, opacity=1).encode(
        x=alt.X("value:Q", axis=axis),
        shape=alt.Shape("word:N", scale=shapes, legend=None),
    )
    labels = base.mark_text(align="left", dx=8, color=GREY).encode(
        x=alt.X("upper:Q", axis=axis), text="word:N", color=alt.value(GREY)
    )
    return alt.layer(zero, bars, points, labels).properties(height=90 + 36 * len(frame))
