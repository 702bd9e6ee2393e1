"""Charts of a supply network and what happens in it: pure functions, frame → chart."""

from __future__ import annotations

import altair as alt
import polars as pl

from app.charts.axes import FREE, HEIGHT, TOP, Chart, above, layered, numbers, words
from app.replays import WHO
from app.style import CANDIDATE, GREY, INCUMBENT, LIGHT_GREY, PURPLE
from quaestor.simulation.figures import CAUSES

KINDS = ["supplier", "warehouse", "cross_dock", "store"]
PLAYERS = [*WHO, "demand"]
COLOURS = [CANDIDATE, INCUMBENT, PURPLE, GREY]
DASHES = [[1, 0], [5, 3], [2, 2], [1, 0]]
SHAPES = ["diamond", "circle", "triangle-up"]
_INTERVAL = ("value", "lower", "upper")


def network_chart(nodes: pl.DataFrame, edges: pl.DataFrame) -> Chart:
    """Who supplies whom, suppliers left: nodes as large as their stock, edges as wide as their flow.

    nodes: name, kind, x, y, chosen, on_hand, costs. edges: source, target, lead_time, unit_cost, flow, x, y, x2, y2,
    chosen.
    """
    furthest = float(nodes["x"].max() or 0.0)  # type: ignore[arg-type]
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-0.25, furthest + 0.4]))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[0, 1]))
    kinds = [kind for kind in KINDS if kind in nodes["kind"].to_list()]
    lead_times = sorted(edges["lead_time"].unique().to_list())
    lines = (
        alt.Chart(edges.with_columns(shade=pl.when("chosen").then(1.0).otherwise(0.35)))
        .mark_rule()
        .encode(
            x=x,
            y=y,
            x2=alt.X2("x2:Q"),
            y2=alt.Y2("y2:Q"),
            color=alt.Color(
                "lead_time:O",
                sort=lead_times,
                scale=alt.Scale(scheme=alt.SchemeParams("plasma", extent=[0.25, 0.8])),
                legend=alt.Legend(orient="bottom", title="lead time (periods)", columns=3),
            ),
            strokeWidth=alt.StrokeWidth(
                "flow:Q",
                scale=alt.Scale(range=[0.6, 6], zero=True),
                legend=alt.Legend(orient="top", title="flow (units a period)", tickCount=3),
            ),
            opacity=alt.Opacity("shade:Q", scale=None, legend=None),
            tooltip=[
                *words("source", "target"),
                alt.Tooltip("flow:Q", title="mean flow (units a period)", format=",.4g"),
                alt.Tooltip("lead_time:Q", title="lead time (periods)"),
                alt.Tooltip("unit_cost:Q", title="purchase cost (a unit)", format="g"),
            ],
        )
    )
    painted = nodes.with_columns(paint=pl.when("chosen").then(pl.lit(CANDIDATE)).otherwise(pl.lit(GREY)))
    base = alt.Chart(painted).encode(x=x, y=y)
    points = base.mark_point(filled=True, opacity=1).encode(
        shape=alt.Shape(
            "kind:N",
            scale=alt.Scale(domain=KINDS, range=["square", "triangle-up", "cross", "circle"]),
            legend=alt.Legend(orient="bottom", title=None, symbolFillColor=GREY, values=kinds),
        ),
        size=alt.Size(
            "on_hand:Q",
            scale=alt.Scale(range=[60, 700], zero=True),
            legend=alt.Legend(orient="top", title="on hand (mean units)", tickCount=3, symbolFillColor=GREY),
        ),
        color=alt.Color("paint:N", scale=None, legend=None),
        tooltip=[
            *words("name", "kind"),
            alt.Tooltip("on_hand:Q", title="mean on hand (units)", format=",.4g"),
            alt.Tooltip("holding_cost:Q", title="holding cost (a unit and period)", format="g"),
            alt.Tooltip("underage_cost:Q", title="underage cost (a unit)", format="g"),
        ],
    )
    text = base.encode(text=alt.Text("name:N"))
    names = (
        text.transform_filter(alt.datum.x == furthest).mark_text(align="left", dx=14, color=GREY, fontSize=10),
        text.transform_filter(alt.datum.x != furthest).mark_text(dy=-18, color=GREY, fontSize=11),
    )
    tallest = int(nodes.group_by("x").len()["len"].max() or 1)  # type: ignore[arg-type]
    height = max(360, min(940, 120 + 24 * tallest))
    return layered(lines, points, *names, height=height, independent=("color",))


def trace_chart(frame: pl.DataFrame, quantity: str, counted_from: int) -> Chart:
    """One quantity at one place through time under each policy; frame: period, who, units.

    The rule marks the first period that counts: before it the network only fills.
    """
    lines = (
        alt.Chart(frame)
        .mark_line(strokeWidth=2, interpolate="step-after")
        .encode(
            x=alt.X("period:Q", title="period", axis=alt.Axis(format="d"), scale=alt.Scale(zero=False, nice=False)),
            y=alt.Y("units:Q", axis=above(f"{quantity} (units)")),
            color=alt.Color("who:N", scale=_scale(COLOURS), legend=_legend(frame)),
            strokeDash=alt.StrokeDash("who:N", scale=_scale(DASHES), legend=_legend(frame)),
            tooltip=[*words("period", "who"), alt.Tooltip("units:Q", format=",.4g")],
        )
    )
    start = alt.Chart(pl.DataFrame({"period": [counted_from], "text": ["counted from here"]})).encode(
        x=alt.X("period:Q")
    )
    rule = start.mark_rule(color=LIGHT_GREY, strokeDash=[2, 2])
    text = start.mark_text(align="left", dx=4, color=GREY, fontSize=10).encode(text=alt.Text("text:N"), y=alt.value(6))
    return layered(rule, lines, text, height=250)


def cost_chart(frame: pl.DataFrame, unit: str, furthest: float | None = None) -> Chart:
    """Cost by cause under each policy with its interval; frame: cause, who, value, lower, upper. furthest: where the
    axis ends, so that two of these can be compared."""
    base = alt.Chart(frame).encode(
        y=alt.Y("cause:N", sort=[*CAUSES, "total"], title=None),
        yOffset=alt.YOffset("who:N", sort=PLAYERS),
        tooltip=[*words("cause", "who"), *numbers("value", "lower", "upper")],
    )
    scale = alt.Scale(zero=True) if furthest is None else alt.Scale(domain=[0, furthest])
    x = alt.X("value:Q", title=f"cost ({unit})", scale=scale)
    bars = base.mark_bar(opacity=0.75).encode(
        x=x, color=alt.Color("who:N", scale=_scale(COLOURS), legend=_legend(frame))
    )
    whiskers = base.mark_rule(strokeWidth=2, color=GREY).encode(x=alt.X("lower:Q"), x2=alt.X2("upper:Q"))
    return layered(bars, whiskers, height=HEIGHT)


def service_chart(frame: pl.DataFrame) -> Chart:
    """The share of demand served from stock under each policy with its interval; frame: where, who, value, lower,
    upper."""
    axis = alt.Axis(title="demand served from stock (%)", format=".0%", tickCount=5)
    base = alt.Chart(frame).encode(
        y=alt.Y("where:N", sort=None, title=None, axis=alt.Axis(labelLimit=180)),
        yOffset=alt.YOffset("who:N", sort=PLAYERS),
        color=alt.Color("who:N", scale=_scale(COLOURS), legend=_legend(frame)),
        tooltip=[*words("where", "who"), *shares("value", "lower", "upper")],
    )
    bars = base.mark_rule(strokeWidth=2.5).encode(x=alt.X("lower:Q", axis=axis, scale=FREE), x2=alt.X2("upper:Q"))
    points = base.mark_point(filled=True, opacity=1, size=80).encode(
        x=alt.X("value:Q", axis=axis, scale=FREE),
        shape=alt.Shape("who:N", scale=alt.Scale(domain=PLAYERS[:3], range=SHAPES), legend=_legend(frame)),
    )
    return layered(bars, points, height=90 + 60 * frame["where"].n_unique())


def learning_chart(frame: pl.DataFrame, best_epoch: int, unit: str) -> Chart:
    """Cost by epoch on training and dev periods, and the epoch that was kept; frame: epoch, on, cost."""
    on = ["training periods", "dev periods"]
    lines = (
        alt.Chart(frame)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(format="d")),
            y=alt.Y("cost:Q", axis=above(f"cost ({unit})"), scale=alt.Scale(zero=False)),
            color=alt.Color("on:N", scale=alt.Scale(domain=on, range=[LIGHT_GREY, CANDIDATE]), legend=TOP),
            strokeDash=alt.StrokeDash("on:N", scale=alt.Scale(domain=on, range=[[5, 3], [1, 0]]), legend=TOP),
            tooltip=[*words("epoch", "on"), alt.Tooltip("cost:Q", format=".4g")],
        )
    )
    kept = alt.Chart(pl.DataFrame({"epoch": [best_epoch], "text": [f"kept: epoch {best_epoch}"]})).encode(
        x=alt.X("epoch:Q")
    )
    rule = kept.mark_rule(color=GREY, strokeDash=[2, 2])
    text = kept.mark_text(align="right", dx=-5, color=GREY, fontSize=10).encode(text=alt.Text("text:N"), y=alt.value(6))
    return layered(rule, lines, text, height=HEIGHT)


def _scale(values: list) -> alt.Scale:
    return alt.Scale(domain=PLAYERS, range=values)


def _legend(frame: pl.DataFrame) -> alt.Legend:
    """A legend of those alone who are drawn."""
    drawn = frame["who"].unique().to_list()
    return alt.Legend(orient="top", title=None, labelLimit=0, values=[name for name in PLAYERS if name in drawn])


def shares(*names: str) -> list[alt.Tooltip]:
    """Tooltips of shares, in hundredths."""
    return [alt.Tooltip(f"{name}:Q", format=".2%") for name in names]
