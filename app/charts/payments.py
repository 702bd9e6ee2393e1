"""What payments policies do and predict: action mix, propensities, calibration."""

from __future__ import annotations

import altair as alt
import polars as pl

from app.charts.axes import FREE, HEIGHT, TOP, Chart, above, layered, numbers, words
from app.style import AMBER, CANDIDATE, GREY, INCUMBENT, LIGHT_GREY


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
            tooltip=[*words("action", "who"), alt.Tooltip("share:Q", format=".2%")],
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
    line = (
        alt.Chart(perfect)
        .mark_line(color=GREY, strokeDash=[4, 4])
        .encode(x=alt.X("predicted:Q"), y=alt.Y("observed:Q"))
    )
    base = alt.Chart(frame).encode(
        x=alt.X("predicted:Q", axis=alt.Axis(title="predicted reward (a round)", tickCount=5), scale=FREE),
        tooltip=numbers("predicted", "observed", "lower", "upper"),
    )
    y = above("observed reward (a round)")
    bars = base.mark_rule(color=CANDIDATE, strokeWidth=2).encode(
        y=alt.Y("lower:Q", scale=FREE, axis=y), y2=alt.Y2("upper:Q")
    )
    points = base.mark_point(filled=True, opacity=1, color=CANDIDATE, shape="diamond", size=70).encode(
        y=alt.Y("observed:Q", scale=FREE, axis=y)
    )
    return layered(line, bars, points, height=HEIGHT)


def propensity_chart(frame: pl.DataFrame) -> Chart:
    """How many logged rounds have a propensity in each range; frame: range, rounds."""
    axis = alt.Axis(title="propensity of the action taken", labelAngle=-35, labelOverlap=False)
    return (
        alt.Chart(frame)
        .mark_bar(color=LIGHT_GREY)
        .encode(
            x=alt.X("range:N", sort=None, axis=axis),
            y=alt.Y("rounds:Q", axis=above("logged rounds")),
            tooltip=[*words("range"), alt.Tooltip("rounds:Q", format=",")],
        )
        .properties(height=HEIGHT)
    )


def weight_chart(frame: pl.DataFrame) -> Chart:
    """What an estimate rests on: the share of rounds, and of all weight, in each range of importance weights; frame:
    range, who (rounds or weight), share."""
    order = ["of rounds", "of all weight"]
    axis = alt.Axis(title="importance weight", labelAngle=-35, labelOverlap=False)
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("range:N", sort=None, axis=axis),
            xOffset=alt.XOffset("who:N", sort=order),
            y=alt.Y("share:Q", axis=above("share (%)", ".0%")),
            color=alt.Color("who:N", scale=alt.Scale(domain=order, range=[LIGHT_GREY, CANDIDATE]), legend=TOP),
            tooltip=[*words("range", "who"), alt.Tooltip("share:Q", format=".2%")],
        )
        .properties(height=HEIGHT)
    )


def delay_chart(frame: pl.DataFrame) -> Chart:
    """The share of closed rounds with an outcome by the hours since their decision, with its interval; frame: hours,
    value, lower, upper."""
    base = alt.Chart(frame).encode(
        x=alt.X("hours:Q", title="hours since the decision, to the end of the attribution window"),
        tooltip=[alt.Tooltip("hours:Q", format=".1f"), *numbers("value", "lower", "upper")],
    )
    scale = alt.Scale(domain=[0, 1])
    y = above("rounds with an outcome (%)", ".0%")
    band = base.mark_area(opacity=0.25, color=CANDIDATE).encode(
        y=alt.Y("lower:Q", scale=scale, axis=y), y2=alt.Y2("upper:Q")
    )
    line = base.mark_line(color=CANDIDATE, strokeWidth=2.5).encode(y=alt.Y("value:Q", scale=scale, axis=y))
    return layered(band, line, height=HEIGHT)


def pending_chart(frame: pl.DataFrame) -> Chart:
    """Rounds whose window is open, by their age, with and without an outcome by now; frame: hours, answer, rounds."""
    answers = ["with an outcome", "without one yet"]
    colours = alt.Scale(domain=answers, range=[LIGHT_GREY, AMBER])
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("hours:Q", title="age of the round (hours)"),
            y=alt.Y("rounds:Q", axis=above("pending rounds"), stack="zero"),
            color=alt.Color("answer:N", scale=colours, legend=TOP),
            tooltip=[alt.Tooltip("hours:Q", format=".1f"), *words("answer"), alt.Tooltip("rounds:Q", format=",")],
        )
        .properties(height=HEIGHT)
    )


def trade_off_chart(curve: pl.DataFrame, sides: pl.DataFrame) -> Chart:
    """Reward against cost a round, both with intervals: the greedy policies at each price joined by a line, candidate
    and incumbent beside it; frames: who, price, reward, reward_lower, reward_upper, cost, cost_lower, cost_upper."""
    frame = pl.concat([curve, sides])
    order = ["greedy at a price", "candidate", "incumbent"]
    colours = alt.Scale(domain=order, range=[GREY, CANDIDATE, INCUMBENT])
    shapes = alt.Scale(domain=order, range=["triangle-up", "diamond", "circle"])
    x, y = alt.Axis(title="cost a round"), above("reward a round")
    base = alt.Chart(frame).encode(
        color=alt.Color("who:N", scale=colours, legend=TOP),
        tooltip=[*words("who"), *numbers("price", "reward", "reward_lower", "reward_upper", "cost")],
    )
    joined = alt.Chart(curve).mark_line(color=GREY, strokeWidth=1.5)
    at_x, at_y = alt.X("cost:Q", scale=FREE, axis=x), alt.Y("reward:Q", scale=FREE, axis=y)
    return layered(
        joined.encode(x=at_x, y=at_y, order=alt.Order("price:Q")),
        base.mark_rule(strokeWidth=2).encode(
            x=at_x, y=alt.Y("reward_lower:Q", scale=FREE, axis=y), y2=alt.Y2("reward_upper:Q")
        ),
        base.mark_rule(strokeWidth=2).encode(
            y=at_y, x=alt.X("cost_lower:Q", scale=FREE, axis=x), x2=alt.X2("cost_upper:Q")
        ),
        base.mark_point(filled=True, opacity=1, size=80).encode(
            x=at_x, y=at_y, shape=alt.Shape("who:N", scale=shapes, legend=TOP)
        ),
        height=HEIGHT + 40,
    )


def draw_chart(frame: pl.DataFrame, draw: float | None) -> Chart:
    """One decision: the eligible actions' probabilities one after another from 0 to 1, and where the draw fell; frame:
    action, start, stop, taken (yes or no)."""
    colours = alt.Scale(domain=["taken", "not taken"], range=[CANDIDATE, LIGHT_GREY])
    x = alt.X("start:Q", axis=alt.Axis(title="probability, one action after another", format=".0%"))
    base = alt.Chart(frame).encode(
        x=x, x2=alt.X2("stop:Q"), tooltip=[*words("action", "taken"), alt.Tooltip("probability:Q", format=".4g")]
    )
    bars = base.mark_bar(height=34, stroke="white", strokeWidth=1).encode(
        color=alt.Color("taken:N", scale=colours, legend=TOP)
    )
    layers: list[alt.Chart] = [bars]
    if draw is not None:
        at = pl.DataFrame({"draw": [draw], "said": [f"draw {draw:.4f}"]})
        mark = alt.Chart(at).mark_rule(color=INCUMBENT, strokeWidth=3, strokeDash=[4, 3]).encode(x=alt.X("draw:Q"))
        said = (
            alt.Chart(at)
            .mark_text(align="left", dx=5, dy=-26, color=GREY)
            .encode(x=alt.X("draw:Q"), text=alt.Text("said:N"))
        )
        layers += [mark, said]
    return layered(*layers, height=110)


def driver_chart(frame: pl.DataFrame, unit: str) -> Chart:
    """By how much each feature raised or lowered the lead of the action taken; frame: feature, effect."""
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            y=alt.Y("feature:N", sort=None, title=None, axis=alt.Axis(labelLimit=220, labelOverlap=False)),
            x=alt.X("effect:Q", title=unit),
            color=alt.condition(alt.datum.effect > 0, alt.value(CANDIDATE), alt.value(INCUMBENT)),
            tooltip=[*words("feature"), *numbers("effect")],
        )
        .properties(height=60 + 24 * len(frame))
    )
