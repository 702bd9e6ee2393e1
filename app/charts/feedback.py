"""How decisions and outcomes arrive."""

from __future__ import annotations

import altair as alt
import polars as pl

from app.charts.axes import HEIGHT, TOP, Chart, above
from app.style import AMBER, LIGHT_GREY


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
