"""Segments: where decisions change, what that is worth, and what each segment earns."""

from __future__ import annotations

import altair as alt
import polars as pl

from app.charts.axes import WHOLE, Chart, layered, numbers, words
from app.style import AMBER, CANDIDATE, GREY, INCUMBENT

COLOURS = {"candidate": (CANDIDATE, "diamond"), "incumbent": (INCUMBENT, "circle"), "observed": (AMBER, "square")}


def segment_chart(frame: pl.DataFrame, title: str, zero: bool = False) -> Chart:
    """One figure of each segment with its interval, a row each; frame: segment, who, value, lower, upper, rounds."""
    who = [name for name in COLOURS if name in set(frame["who"])]
    colours = alt.Scale(domain=who, range=[COLOURS[name][0] for name in who])
    shapes = alt.Scale(domain=who, range=[COLOURS[name][1] for name in who])
    legend = alt.Legend(orient="top", title=None) if len(who) > 1 else None
    axis = alt.Axis(title=title, titleAnchor="end", tickCount=6)
    scale = WHOLE if zero else alt.Scale(zero=False)
    base = alt.Chart(frame).encode(
        y=alt.Y("segment:N", sort=None, title=None, axis=alt.Axis(labelLimit=220, labelOverlap=False)),
        yOffset=alt.YOffset("who:N", sort=who),
        color=alt.Color("who:N", scale=colours, legend=legend),
        tooltip=[*words("segment", "who"), *numbers("value", "lower", "upper"), alt.Tooltip("rounds:Q", format=",")],
    )
    bars = base.mark_rule(strokeWidth=2.5).encode(x=alt.X("lower:Q", axis=axis, scale=scale), x2=alt.X2("upper:Q"))
    points = base.mark_point(filled=True, opacity=1, size=70).encode(
        x=alt.X("value:Q", axis=axis, scale=scale), shape=alt.Shape("who:N", scale=shapes, legend=legend)
    )
    layers: list[alt.Chart] = [bars, points]
    if zero:
        layers.insert(0, alt.Chart(pl.DataFrame({"at": [0.0]})).mark_rule(color=GREY).encode(x=alt.X("at:Q")))
    return layered(*layers, height=70 + (16 + 14 * len(who)) * frame["segment"].n_unique())
