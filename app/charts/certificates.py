"""A certified bound over attack budgets."""

from __future__ import annotations

import altair as alt
import polars as pl

from app.certified import ATTACK, BARE, BOUND, NOMINAL, PLUG_IN
from app.charts.axes import FREE, WHOLE, Chart, above, layered, numbers, words
from app.style import AMBER, CANDIDATE, GREY, INCUMBENT, LIGHT_GREY, SKY

BUDGET = "attack budget B (total ℓ2, unit of the noise)"


def certificate_chart(
    frame: pl.DataFrame,
    attacks: pl.DataFrame,
    nominal: pl.DataFrame,
    quantity: str,
    unit: str,
    muted: bool = False,
) -> Chart:
    """A certified bound over budgets with what it is compared with; frame: budget, line, value; attacks, each with its
    interval: budget, attack, mean, lower, upper; nominal, the interval of that line: budget, lower, upper.

    muted: in grey, where a check says that the figures cannot be relied on.
    """
    lines = [BOUND, ATTACK, NOMINAL, BARE, PLUG_IN]
    colours, dashes = [CANDIDATE, AMBER, GREY, INCUMBENT, SKY], [[1, 0], [6, 3], [1, 0], [2, 3], [8, 2, 2, 2]]
    if muted:
        colours = [LIGHT_GREY] * len(lines)
    bound, attack = colours[0], colours[1]
    legend = alt.Legend(orient="bottom", columns=1, title=None, labelLimit=0, symbolType="stroke", symbolSize=400)
    base = alt.Chart(frame).encode(
        x=alt.X("budget:Q", axis=alt.Axis(title=BUDGET, tickCount=6), scale=WHOLE),
        y=alt.Y("value:Q", axis=above(f"mean {quantity} ({unit})"), scale=FREE),
        tooltip=[*words("line"), alt.Tooltip("budget:Q", format="g"), *numbers("value")],
    )
    drawn = base.mark_line(strokeWidth=2.5).encode(
        color=alt.Color("line:N", sort=lines, scale=alt.Scale(domain=lines, range=colours), legend=legend),
        strokeDash=alt.StrokeDash("line:N", sort=lines, scale=alt.Scale(domain=lines, range=dashes), legend=legend),
    )
    points = base.transform_filter(alt.datum.line == BOUND).mark_point(
        filled=True, opacity=1, size=70, color=bound, shape="diamond"
    )
    tried = alt.Chart(attacks).encode(
        x=alt.X("budget:Q"),
        tooltip=[*words("attack"), alt.Tooltip("budget:Q", format="g"), *numbers("mean", "lower", "upper")],
    )
    reach = tried.mark_rule(color=attack, strokeWidth=2).encode(y=alt.Y("lower:Q", scale=FREE), y2=alt.Y2("upper:Q"))
    means = tried.mark_point(filled=True, opacity=1, size=40, color=attack).encode(y=alt.Y("mean:Q", scale=FREE))
    layers: list[alt.Chart] = [drawn, points]
    if len(attacks):
        layers[1:1] = [reach, means]
    if len(nominal):
        band = alt.Chart(nominal).mark_area(color=GREY, opacity=0.2)
        y = alt.Y("lower:Q", scale=FREE)
        layers.insert(0, band.encode(x=alt.X("budget:Q"), y=y, y2=alt.Y2("upper:Q"), tooltip=numbers("lower", "upper")))
    return layered(*layers, height=460)
