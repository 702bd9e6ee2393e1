"""How decisions and outcomes arrive."""

from __future__ import annotations

import altair as alt
import polars as pl

from app.charts.axes import HEIGHT, TOP, WHOLE, Chart, above, layered, numbers, words
from app.style import AMBER, GREY, LIGHT_GREY, PURPLE, SKY


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
                *words("answer"),
                alt.Tooltip("decisions:Q", format=","),
            ],
        )
        .properties(height=HEIGHT)
    )


def features_chart(frame: pl.DataFrame, limit: float) -> Chart:
    """How far each feature moved, with what chance alone would show and the limit; frame: feature, index, by_chance,
    unseen, word."""
    axis = alt.Axis(title="population stability index (no unit)", titleAnchor="end", tickCount=6)
    x = alt.X("index:Q", axis=axis, scale=WHOLE)
    base = alt.Chart(frame).encode(
        y=alt.Y("feature:N", sort=None, title=None, axis=alt.Axis(labelLimit=220, labelOverlap=False)),
        tooltip=[*words("feature", "word"), *numbers("index", "by_chance"), alt.Tooltip("unseen:Q", format=".1%")],
    )
    standings = ["OK", "watch", "stop"]
    colour = alt.Color("word:N", scale=alt.Scale(domain=standings, range=[SKY, AMBER, PURPLE]), legend=TOP)
    shape = alt.Shape("word:N", scale=alt.Scale(domain=standings, range=["circle", "diamond", "square"]), legend=TOP)
    points = base.mark_point(filled=True, opacity=1, size=110).encode(x=x, color=colour, shape=shape)
    chance = base.mark_tick(color=GREY, thickness=2, height=14).encode(x=alt.X("by_chance:Q", axis=axis))
    borne = alt.Chart(pl.DataFrame({"limit": [limit], "text": ["limit"]})).encode(x=alt.X("limit:Q"))
    rule = borne.mark_rule(color=GREY, strokeDash=[4, 4])
    text = borne.mark_text(align="left", dx=4, color=GREY, fontSize=10).encode(text=alt.Text("text:N"), y=alt.value(6))
    return layered(rule, text, chance, points, height=90 + 24 * len(frame))


def demand_chart(frame: pl.DataFrame) -> Chart:
    """Demand of all products and stores by period; frame: period, units, window (earlier, reference, newest)."""
    windows = ["earlier", "reference", "newest"]
    base = alt.Chart(frame).encode(
        x=alt.X("period:Q", title="period", axis=alt.Axis(format="d"), scale=alt.Scale(zero=False, nice=False)),
        y=alt.Y("units:Q", axis=above("demand (units, all products and stores)")),
        tooltip=[*words("period", "window"), alt.Tooltip("units:Q", format=",.4g")],
    )
    colour = alt.Color("window:N", scale=alt.Scale(domain=windows, range=[LIGHT_GREY, SKY, AMBER]), legend=TOP)
    shape = alt.Shape("window:N", scale=alt.Scale(domain=windows, range=["circle", "circle", "diamond"]), legend=TOP)
    line = base.mark_line(color=LIGHT_GREY, strokeWidth=1.5)
    return layered(
        line,
        base.mark_point(filled=True, opacity=1, size=45).encode(color=colour, shape=shape),
        height=HEIGHT,
    )
