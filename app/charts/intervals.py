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
    WRAPPED,
    Chart,
    above,
    layered,
    numbers,
    words,
)  # fmt: skip
from app.style import CANDIDATE, GREY, INCUMBENT, LIGHT_GREY, PURPLE

GENERATIONS = alt.X("number:O", axis=alt.Axis(title="iteration", labelAngle=0, labelOverlap=True))
GENERATION_LINES = {
    "candidate": (CANDIDATE, "diamond"),
    "incumbent": (INCUMBENT, "circle"),
    "realised": (PURPLE, "square"),
}
SIDES = {"candidate": (CANDIDATE, "diamond"), "incumbent": (INCUMBENT, "circle"), "another": (GREY, "square")}


def value_chart(frame: pl.DataFrame, quantity: str, unit: str) -> Chart:
    """Candidate and incumbent of each iteration with their intervals; frame: label, who, value, lower, upper."""
    base = alt.Chart(frame).encode(
        x=alt.X("label:N", sort=None, title="iteration", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("who:N", sort=POLICIES),
        color=alt.Color("who:N", scale=POLICY_COLOURS, legend=TOP),
        tooltip=[*words("label", "who"), *numbers("value", "lower", "upper")],
    )
    y = above(f"{quantity} ({unit})")
    bars = base.mark_rule(strokeWidth=2.5).encode(y=alt.Y("lower:Q", scale=FREE, axis=y), y2=alt.Y2("upper:Q"))
    points = base.mark_point(filled=True, opacity=1, size=90).encode(
        y=alt.Y("value:Q", scale=FREE, axis=y),
        shape=alt.Shape("who:N", scale=POLICY_SHAPES, legend=TOP),
    )
    return layered(bars, points, height=HEIGHT)


def gain_chart(frame: pl.DataFrame, unit: str, margin: float = 0.0, muted: bool = False) -> Chart:
    """Gains with their intervals on one axis with the lines of zero and of the gate; frame: label, value, lower,
    upper, word.

    Better lies right of zero, whatever the quantity; sign, colour and word say the same. margin: the gain that the gate
    asks for. muted: in grey, where a check says that the figures cannot be relied on.
    """
    colours, shapes = WORD_SCALES
    axis = alt.Axis(title=f"gain ({unit}), better to the right", titleAnchor="end", tickCount=6)
    x = alt.X("lower:Q", axis=axis, scale=alt.Scale(zero=True, nice=True, padding=28))
    colour = alt.value(LIGHT_GREY) if muted else alt.Color("word:N", scale=colours, legend=None)
    base = alt.Chart(frame).encode(
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=260, labelOverlap=False)),
        color=colour,
        tooltip=[*words("label", "word"), *numbers("value", "lower", "upper")],
    )
    bars = base.mark_rule(strokeWidth=3).encode(x=x, x2=alt.X2("upper:Q"))
    points = base.mark_point(filled=True, size=130, opacity=1).encode(
        x=alt.X("value:Q", axis=axis),
        shape=alt.Shape("word:N", scale=shapes, legend=None),
    )
    labels = base.mark_text(align="left", dx=8, color=GREY).encode(
        x=alt.X("upper:Q", axis=axis), text=alt.Text("word:N"), color=alt.value(GREY)
    )
    return layered(*_lines_at(margin), bars, points, labels, height=90 + 36 * len(frame))


def generations_chart(frame: pl.DataFrame, quantity: str, unit: str) -> Chart:
    """Values over generations, joined by a line so that they can be seen to swing; frame: number, label, who, value,
    lower, upper. who: the candidate, its incumbent, or what was realised once it decided."""
    who = [name for name in GENERATION_LINES if name in set(frame["who"])]
    colours = alt.Scale(domain=who, range=[GENERATION_LINES[name][0] for name in who])
    shapes = alt.Scale(domain=who, range=[GENERATION_LINES[name][1] for name in who])
    base = alt.Chart(frame).encode(
        x=GENERATIONS,
        xOffset=alt.XOffset("who:N", sort=who),
        color=alt.Color("who:N", scale=colours, legend=TOP),
        tooltip=[*words("label", "who"), *numbers("value", "lower", "upper")],
    )
    y = above(f"{quantity} ({unit})")
    joined = base.transform_filter(alt.datum.who == who[0]).mark_line(strokeWidth=1.5, opacity=0.6)
    drawn = joined.encode(y=alt.Y("value:Q", scale=FREE, axis=y))
    bars = base.mark_rule(strokeWidth=2).encode(y=alt.Y("lower:Q", scale=FREE, axis=y), y2=alt.Y2("upper:Q"))
    points = base.mark_point(filled=True, opacity=1, size=70).encode(
        y=alt.Y("value:Q", scale=FREE, axis=y), shape=alt.Shape("who:N", scale=shapes, legend=TOP)
    )
    return layered(drawn, bars, points, height=HEIGHT)


def gains_chart(frame: pl.DataFrame, unit: str, margin: float = 0.0) -> Chart:
    """Gains over generations with their intervals and the lines of zero and of the gate; frame: number, label, value,
    lower, upper, word."""
    colours, shapes = WORD_SCALES
    axis = above(f"gain ({unit}), better is up")
    base = alt.Chart(frame).encode(
        x=GENERATIONS,
        color=alt.Color("word:N", scale=colours, legend=WRAPPED),
        tooltip=[*words("label", "word"), *numbers("value", "lower", "upper")],
    )
    lines = pl.DataFrame({"at": [0.0, margin], "line": ["zero", "gate"]})
    ruled = alt.Chart(lines).mark_rule(color=GREY, strokeWidth=1.5)
    dashes = alt.Scale(domain=["zero", "gate"], range=[[1, 0], [5, 4]])
    return layered(
        ruled.encode(y=alt.Y("at:Q", axis=axis), strokeDash=alt.StrokeDash("line:N", scale=dashes, legend=WRAPPED)),
        base.mark_rule(strokeWidth=2).encode(y=alt.Y("lower:Q", axis=axis), y2=alt.Y2("upper:Q")),
        base.mark_point(filled=True, opacity=1, size=80).encode(
            y=alt.Y("value:Q", axis=axis), shape=alt.Shape("word:N", scale=shapes, legend=WRAPPED)
        ),
        height=HEIGHT,
    )


def values_chart(frame: pl.DataFrame, quantity: str, unit: str) -> Chart:
    """Values of several iterations on one axis, a row each; frame: label, who (candidate, incumbent, another), value,
    lower, upper."""
    title = f"{quantity} ({unit})"
    axis = alt.Axis(title=title, titleAnchor="end", tickCount=6)
    base = alt.Chart(frame).encode(
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=260, labelOverlap=False)),
        tooltip=[*words("label", "who"), *numbers("value", "lower", "upper")],
    )
    who = [name for name in SIDES if name in set(frame["who"])]
    colour = alt.Color("who:N", scale=alt.Scale(domain=who, range=[SIDES[name][0] for name in who]), legend=TOP)
    shape = alt.Shape("who:N", scale=alt.Scale(domain=who, range=[SIDES[name][1] for name in who]), legend=TOP)
    return layered(
        base.mark_rule(strokeWidth=3).encode(
            x=alt.X("lower:Q", axis=axis, scale=FREE), x2=alt.X2("upper:Q"), color=colour
        ),
        base.mark_point(filled=True, size=110, opacity=1).encode(
            x=alt.X("value:Q", axis=axis, scale=FREE), color=colour, shape=shape
        ),
        height=110 + 36 * len(frame),
    )


def _lines_at(margin: float) -> list[alt.Chart]:
    zero = alt.Chart(pl.DataFrame({"at": [0.0]})).mark_rule(color=GREY, strokeWidth=1.5).encode(x=alt.X("at:Q"))
    gate = alt.Chart(pl.DataFrame({"at": [margin]})).mark_rule(color=GREY, strokeWidth=1.5, strokeDash=[5, 4])
    said = alt.Chart(pl.DataFrame({"at": [margin], "said": ["gate"]})).mark_text(
        align="left", baseline="top", dx=4, color=GREY, fontStyle="italic"
    )
    return [zero, gate.encode(x=alt.X("at:Q")), said.encode(x=alt.X("at:Q"), y=alt.value(0), text=alt.Text("said:N"))]
