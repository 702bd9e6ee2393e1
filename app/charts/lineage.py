"""The lineage of a system's iterations as a picture."""

from __future__ import annotations

import altair as alt
import polars as pl

from app.charts.axes import Chart, above, layered, words
from app.style import AMBER, CANDIDATE, GREY, INCUMBENT, LIGHT_GREY, PURPLE, SKY

STAGES = {
    "live": (INCUMBENT, "square"),
    "waits for approval": (CANDIDATE, "diamond"),
    "needs more evidence": (GREY, "circle"),
    "candidate": (AMBER, "circle"),
    "retired": (SKY, "square"),
    "yardstick": (LIGHT_GREY, "square"),
    "rejected by the gate": (PURPLE, "triangle-down"),
    "rejected": (PURPLE, "cross"),
}
NAMED_AT_MOST = 40
ROWS_NAMED = 12
BELOW = alt.Legend(orient="bottom", title=None, labelLimit=0, symbolLimit=0)


def lineage_chart(nodes: pl.DataFrame, edges: pl.DataFrame) -> Chart:
    """Iterations in the order they were registered, a row a generation, each joined to its parent.

    nodes: iteration, address, number, generation, policy, stage, gain; edges: number, generation, parent_number,
    parent_generation.
    """
    stages = [stage for stage in STAGES if stage in set(nodes["stage"])]
    colours = alt.Scale(domain=stages, range=[STAGES[stage][0] for stage in stages])
    shapes = alt.Scale(domain=stages, range=[STAGES[stage][1] for stage in stages])
    title = "iteration (order of registration)"
    x = alt.X("number:Q", axis=alt.Axis(title=title, tickMinStep=1, format="d"), scale=alt.Scale(padding=16))
    deepest = int(nodes["generation"].max() or 0)  # type: ignore[arg-type]
    scale = alt.Scale(reverse=True, zero=False, nice=False, domain=[-0.5, deepest + 0.5])
    axis = above("generation (0 has no parent)", "d")
    axis.values = list(range(0, deepest + 1, 1 + deepest // ROWS_NAMED))
    y = alt.Y("generation:Q", axis=axis, scale=scale)
    lines = alt.Chart(edges).mark_rule(color=GREY, strokeWidth=1.2, opacity=0.7)
    lines = lines.encode(x=alt.X("parent_number:Q", title=title), y=alt.Y("parent_generation:Q", scale=scale),
                         x2=alt.X2("number:Q"), y2=alt.Y2("generation:Q"))  # fmt: skip
    base = alt.Chart(nodes).encode(x=x, y=y)
    points = base.mark_point(filled=True, opacity=1, size=170).encode(
        color=alt.Color("stage:N", scale=colours, legend=BELOW),
        shape=alt.Shape("stage:N", scale=shapes, legend=BELOW),
        href=alt.Href("address:N"),
        tooltip=[*words("iteration", "policy", "stage", "gain", "generation")],
    )
    layers = [lines, points] if len(edges) else [points]
    if len(nodes) <= NAMED_AT_MOST:
        layers.append(base.mark_text(dy=-14, color=GREY).encode(text=alt.Text("number:Q")))
    height = min(480, 190 + 44 * int(nodes["generation"].n_unique()))
    return layered(*layers, height=height)
