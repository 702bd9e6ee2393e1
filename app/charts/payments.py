"""What payments policies do and predict: action mix, propensities, calibration."""

from __future__ import annotations

import altair as alt
import polars as pl

from app.charts.axes import FREE, HEIGHT, TOP, Chart, above, numbers
from app.style import CANDIDATE, GREY, LIGHT_GREY


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
        tooltip=numbers("predicted", "observed", "lower", "upper"),
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
