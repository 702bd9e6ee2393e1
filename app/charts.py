"""Charts of policies and their evidence: pure functions, frame → chart. Estimates never come without their interval."""

from __future__ import annotations

from typing import TypeAlias

import altair as alt
import polars as pl

from app.certified import ATTACK, BARE, BOUND, NOMINAL, PLUG_IN
from app.style import (
    AMBER,
    CANDIDATE,
    GREY,
    INCUMBENT,
    LIGHT_GREY,
    SKY,
    WORD_COLOURS,
    WORD_SHAPES,
    Word,
)

Chart: TypeAlias = alt.Chart | alt.LayerChart | alt.FacetChart

HEIGHT = 300

FREE, WHOLE = alt.Scale(zero=False), alt.Scale(zero=True)

POLICIES = ["candidate", "incumbent"]
POLICY_COLOURS = alt.Scale(domain=POLICIES, range=[CANDIDATE, INCUMBENT])
WORDS = [str(word) for word in Word]
WORD_SCALES = (
    alt.Scale(domain=WORDS, range=[WORD_COLOURS[word] for word in Word]),
    alt.Scale(domain=WORDS, range=[WORD_SHAPES[word] for word in Word]),
)
POLICY_SHAPES = alt.Scale(domain=POLICIES, range=["diamond", "circle"])
TOP = alt.Legend(orient="top", title=None, labelLimit=0, symbolLimit=0)


def value_chart(frame: pl.DataFrame, quantity: str, unit: str) -> Chart:
    """Candidate and incumbent of each iteration with their intervals; frame: label, who, value, lower, upper."""
    base = alt.Chart(frame).encode(
        x=alt.X("label:N", sort=None, title="iteration", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("who:N", sort=POLICIES),
        color=alt.Color("who:N", scale=POLICY_COLOURS, legend=TOP),
        tooltip=["label", "who", *_numbers("value", "lower", "upper")],
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
        tooltip=["label", "word", *_numbers("value", "lower", "upper")],
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


def action_mix_chart(frame: pl.DataFrame) -> Chart:
    """The share of each action in the log and under the candidate; frame: action, who, share."""
    order = ["candidate", "in the log"]
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            y=alt.Y("action:N", sort=None, title=None, axis=alt.Axis(labelLimit=200, labelOverlap=False)),
            yOffset=alt.YOffset("who:N", sort=order),
            x=alt.X("share:Q", title="share of rounds (%)", axis=alt.Axis(format=".0%")),
            color=alt.Color("who:N", scale=alt.Scale(domain=order, range=[CANDIDATE, LIGHT_GREY]), legend=TOP),
            tooltip=["action", "who", alt.Tooltip("share:Q", format=".2%")],
        )
        .properties(height=130 + 36 * frame["action"].n_unique())
    )


def calibration_chart(frame: pl.DataFrame) -> Chart:
    """Observed against predicted reward with intervals and the line of a perfect model; frame: predicted, observed,
    lower, upper (reward a round)."""
    low, high = frame.select(
        pl.min_horizontal(pl.col("predicted").min(), pl.col("lower").min()), pl.col("upper").max().alias("high")
    ).row(0)
    perfect = pl.DataFrame({"predicted": [low, high], "observed": [low, high]}, strict=False)
    line = alt.Chart(perfect).mark_line(color=GREY, strokeDash=[4, 4]).encode(x="predicted:Q", y="observed:Q")
    base = alt.Chart(frame).encode(
        x=alt.X("predicted:Q", axis=alt.Axis(title="predicted reward (a round)", tickCount=5), scale=FREE),
        tooltip=_numbers("predicted", "observed", "lower", "upper"),
    )
    y = above("observed reward (a round)")
    bars = base.mark_rule(color=CANDIDATE, strokeWidth=2).encode(y=alt.Y("lower:Q", scale=FREE, axis=y), y2="upper:Q")
    points = base.mark_point(filled=True, opacity=1, color=CANDIDATE, shape="diamond", size=70).encode(
        y=alt.Y("observed:Q", scale=FREE, axis=y)
    )
    return alt.layer(line, bars, points).properties(height=HEIGHT)


def propensity_chart(frame: pl.DataFrame) -> Chart:
    """How many logged rounds have a propensity in each range; frame: range, rounds."""
    axis = alt.Axis(title="propensity of the action taken", labelAngle=-35, labelOverlap=False)
    return (
        alt.Chart(frame)
        .mark_bar(color=LIGHT_GREY)
        .encode(
            x=alt.X("range:N", sort=None, axis=axis),
            y=alt.Y("rounds:Q", axis=above("logged rounds")),
            tooltip=["range", alt.Tooltip("rounds:Q", format=",")],
        )
        .properties(height=HEIGHT)
    )


def certificate_chart(frame: pl.DataFrame, quantity: str, unit: str) -> Chart:
    """A certified bound over budgets with what it is compared with; frame: budget, line, value."""
    lines = [BOUND, ATTACK, NOMINAL, BARE, PLUG_IN]
    colours, dashes = [CANDIDATE, AMBER, GREY, INCUMBENT, SKY], [[1, 0], [6, 3], [1, 0], [2, 3], [8, 2, 2, 2]]
    legend = alt.Legend(orient="bottom", columns=2, title=None, labelLimit=0, symbolType="stroke", symbolSize=400)
    base = alt.Chart(frame).encode(
        x=alt.X("budget:Q", title="attack budget B (total ℓ2 over an episode, in the unit of the noise)", scale=WHOLE),
        y=alt.Y("value:Q", axis=above(f"mean {quantity} ({unit})"), scale=FREE),
        tooltip=["line", alt.Tooltip("budget:Q", format="g"), *_numbers("value")],
    )
    drawn = base.mark_line(strokeWidth=2.5).encode(
        color=alt.Color("line:N", sort=lines, scale=alt.Scale(domain=lines, range=colours), legend=legend),
        strokeDash=alt.StrokeDash("line:N", sort=lines, scale=alt.Scale(domain=lines, range=dashes), legend=legend),
    )
    points = base.transform_filter(alt.datum.line == BOUND).mark_point(
        filled=True, opacity=1, size=70, color=CANDIDATE, shape="diamond"
    )
    return alt.layer(drawn, points).properties(height=400)


def arrivals_chart(frame: pl.DataFrame) -> Chart:
    """Decisions by day, with and without an outcome by now; frame: day, answer, decisions."""
    answers = ["with an outcome", "without one yet"]
    colours = alt.Scale(domain=answers, range=[LIGHT_GREY, AMBER])
    axis = alt.Axis(title="day of the decision (UTC)", format="%Y-%m-%d", labelOverlap=True)
    day = "utcyearmonthdate(day):T"
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X(day, axis=axis),
            y=alt.Y("decisions:Q", axis=above("decisions (a day)"), stack="zero"),
            color=alt.Color("answer:N", scale=colours, legend=TOP),
            tooltip=[
                alt.Tooltip(day, title="day", format="%Y-%m-%d"),
                "answer",
                alt.Tooltip("decisions:Q", format=","),
            ],
        )
        .properties(height=HEIGHT)
    )


def above(title: str) -> alt.Axis:
    """A y axis whose title is read without turning one's head, and never cut."""
    return alt.Axis(title=title, titleAngle=0, titleAlign="left", titleAnchor="end", titleX=-36, titleY=-10)


def _numbers(*names: str) -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{name}:Q", format=".4g") for name in names]
