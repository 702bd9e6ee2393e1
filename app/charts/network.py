"""Charts of a supply network and what happens in it: pure functions, frame → chart."""

from __future__ import annotations

import altair as alt
import polars as pl

from app.charts.axes import HEIGHT, POLICIES, POLICY_COLOURS, TOP, Chart, above
from app.stock import CAUSES
from app.style import CANDIDATE, GREY, INCUMBENT, LIGHT_GREY

KINDS = ["supplier", "warehouse", "store"]
WHO = [*POLICIES, "recorded"]


def network_chart(nodes: pl.DataFrame, edges: pl.DataFrame) -> Chart:
    """Suppliers, warehouses and stores from left to right, with who supplies whom; the chosen place stands out.

    nodes: name, kind, x, y, chosen, costs. edges: source, target, lead_time, unit_cost, x, y, x2, y2, chosen.
    """
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-0.25, 2.35]))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[0, 1]))
    lead_times = sorted(edges["lead_time"].unique().to_list())
    lines = (
        alt.Chart(edges)
        .mark_rule()
        .encode(
            x=x,
            y=y,
            x2="x2:Q",
            y2="y2:Q",
            color=alt.Color(
                "lead_time:O",
                sort=lead_times,
                scale=alt.Scale(scheme=alt.SchemeParams("plasma", extent=[0.25, 0.8])),
                legend=alt.Legend(orient="top", title="lead time (periods)"),
            ),
            strokeWidth=alt.condition("datum.chosen", alt.value(3), alt.value(1)),
            opacity=alt.condition("datum.chosen", alt.value(1), alt.value(0.35)),
            tooltip=[
                "source",
                "target",
                alt.Tooltip("lead_time:Q", title="lead time (periods)"),
                alt.Tooltip("unit_cost:Q", title="purchase cost (a unit)", format="g"),
            ],
        )
    )
    base = alt.Chart(nodes).encode(x=x, y=y)
    points = base.mark_point(filled=True, opacity=1, size=110).encode(
        shape=alt.Shape(
            "kind:N",
            scale=alt.Scale(domain=KINDS, range=["square", "triangle-up", "circle"]),
            legend=alt.Legend(orient="top", title=None),
        ),
        color=alt.condition("datum.chosen", alt.value(CANDIDATE), alt.value(GREY)),
        tooltip=[
            "name",
            "kind",
            alt.Tooltip("holding_cost:Q", title="holding cost (a unit and period)", format="g"),
            alt.Tooltip("underage_cost:Q", title="underage cost (a unit)", format="g"),
        ],
    )
    text = base.encode(text="name:N")
    names = (
        text.transform_filter(alt.datum.kind == "store").mark_text(align="left", dx=9, color=GREY, fontSize=10),
        text.transform_filter(alt.datum.kind != "store").mark_text(dy=-14, color=GREY, fontSize=11),
    )
    tallest = int(nodes.group_by("kind").len()["len"].max() or 1)  # type: ignore[arg-type]
    return (
        alt.layer(lines, points, *names)
        .resolve_scale(color="independent")
        .properties(height=max(300, min(900, 60 + 24 * tallest)))
    )


def trace_chart(frame: pl.DataFrame, quantity: str, counted_from: int) -> Chart:
    """One quantity at one place through time, candidate against incumbent; frame: period, who, units.

    The rule marks the first period that counts: before it the network only fills.
    """
    colours = alt.Scale(domain=WHO, range=[CANDIDATE, INCUMBENT, GREY])
    dashes = alt.Scale(domain=WHO, range=[[1, 0], [5, 3], [1, 0]])
    lines = (
        alt.Chart(frame)
        .mark_line(strokeWidth=2, interpolate="step-after")
        .encode(
            x=alt.X("period:Q", title="period", axis=alt.Axis(format="d"), scale=alt.Scale(zero=False, nice=False)),
            y=alt.Y("units:Q", axis=above(f"{quantity} (units)")),
            color=alt.Color("who:N", scale=colours, legend=_of(frame, WHO)),
            strokeDash=alt.StrokeDash("who:N", scale=dashes, legend=_of(frame, WHO)),
            tooltip=["period", "who", alt.Tooltip("units:Q", format=".4g")],
        )
    )
    start = alt.Chart(pl.DataFrame({"period": [counted_from], "text": ["counted from here"]})).encode(x="period:Q")
    rule = start.mark_rule(color=LIGHT_GREY, strokeDash=[2, 2])
    text = start.mark_text(align="left", dx=4, color=GREY, fontSize=10).encode(text="text:N", y=alt.value(6))
    return alt.layer(rule, lines, text).properties(height=250)


def cost_chart(frame: pl.DataFrame) -> Chart:
    """One product's cost by cause under both policies; frame: cause, who, cost."""
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            y=alt.Y("cause:N", sort=[*CAUSES, "total"], title=None),
            yOffset=alt.YOffset("who:N", sort=POLICIES),
            x=alt.X("cost:Q", title="cost over the counted periods, whole network"),
            color=alt.Color("who:N", scale=POLICY_COLOURS, legend=TOP),
            tooltip=["cause", "who", alt.Tooltip("cost:Q", format=",.0f")],
        )
        .properties(height=HEIGHT)
    )


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
            tooltip=["epoch", "on", alt.Tooltip("cost:Q", format=".4g")],
        )
    )
    kept = alt.Chart(pl.DataFrame({"epoch": [best_epoch], "text": [f"kept: epoch {best_epoch}"]})).encode(x="epoch:Q")
    rule = kept.mark_rule(color=GREY, strokeDash=[2, 2])
    text = kept.mark_text(align="right", dx=-5, color=GREY, fontSize=10).encode(text="text:N", y=alt.value(6))
    return alt.layer(rule, lines, text).properties(height=HEIGHT)


def _of(frame: pl.DataFrame, names: list[str]) -> alt.Legend:
    present = [name for name in names if name in frame["who"].unique().to_list()]
    return alt.Legend(orient="top", title=None, values=present)
