"""Iterations: where each came from and where it stands, as a picture and as a table to choose from."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import polars as pl
import streamlit as st

from app import frames, lineage, panels
from app.charts.lineage import lineage_chart
from app.drawing import draw
from app.guard import nothing_yet, present, reading
from app.links import address, choose
from app.queries.evidence import evidence_of_system
from app.queries.iterations import Iteration, all_iterations
from app.queries.store import state
from app.style import plain, short
from quaestor.clock import utc_now

EVERY = "all"
COMPARED_AT_MOST = 6


def show() -> None:
    """Every iteration of a system."""
    known = reading(all_iterations)
    if not known:
        nothing_yet("There is no iteration yet.")
        return
    systems = list(dict.fromkeys(each.report.system for each in reversed(known)))
    system = choose("System", systems, "system", "iterations system")
    mine = [each for each in known if each.report.system == system]
    st.header(plain(sentence(system, mine)), anchor=False)
    st.subheader("Lineage", anchor=False)
    drawn = lineage_chart(lineage.nodes(mine), lineage.edges(mine))
    told = f"Lineage of {len(mine)} iterations: each joined to its parent, with its stage as shape and colour"
    draw(drawn, alt=told)
    st.caption("Each iteration is joined to its parent; the point leads to its page. The table says the same.")
    st.subheader("Choose by what matters", anchor=False)
    listed(mine)
    kept = panels.Rows("what was kept of these iterations, newest first", lambda: evidence_of_system(system))
    panels.source("this list", f"quaestor iterations --system {shlex.quote(system)}", reading(state), [kept])


def sentence(system: str, mine: Sequence[Iteration]) -> str:
    """How many iterations there are, and where they stand."""
    stages = pl.Series([each.report.stage for each in mine]).value_counts(sort=True).rows()
    told = ", ".join(f"{count} {stage}" for stage, count in stages)
    return f"{system}: {len(mine)} iteration{'s' * (len(mine) != 1)} ({told})."


@st.fragment
def listed(mine: Sequence[Iteration]) -> None:
    """The table, filtered; what is ticked can be opened or compared."""
    left, middle, right = st.columns([2, 2, 3])
    stages = list(dict.fromkeys(each.report.stage for each in mine))
    stage = choose("Stage", [EVERY, *stages], "stage", "iterations stage", where=left)
    words = list(dict.fromkeys(str(panels.word_of_iteration(each) or "not evaluated") for each in mine))
    word = choose("Verdict", [EVERY, *words], "verdict", "iterations verdict", where=middle)
    text = right.text_input("Policy or id contains", max_chars=60)
    kept = [
        each
        for each in mine
        if stage in (EVERY, each.report.stage)
        and word in (EVERY, str(panels.word_of_iteration(each) or "not evaluated"))
        and text.lower() in f"{each.report.policy} {each.iteration_id}".lower()
    ]
    if not kept:
        st.text("No iteration is like that: choose another stage or verdict, or another text.")
        return
    shown = frames.listing(kept, {}, utc_now()).with_columns(page=pl.Series([address(each) for each in reversed(kept)]))
    marked = st.dataframe(
        panels.exportable(shown),
        hide_index=True,
        width="stretch",
        column_config={
            **{name: st.column_config.NumberColumn(format="%.4g") for name in ("gain", "gain from", "gain to")},
            "page": st.column_config.LinkColumn(display_text="open", help="The page of the iteration."),
        },
        on_select="rerun",
        selection_mode="multi-row",
        key="iterations table",
        alt="Every iteration, newest first, with stage, verdict, gain with its interval and age of data",
    )
    st.caption(f"{len(kept)} of {len(mine)}. Sort by a column's head; tick rows to open or compare them.")
    marks = [list(reversed(kept))[row] for row in marked["selection"]["rows"] if row < len(kept)]
    for each in marks[:COMPARED_AT_MOST]:
        panels.link(each)
    if len(marks) > 1:
        named = ",".join(short(each.iteration_id) for each in marks[:COMPARED_AT_MOST])
        st.page_link("screens/side_by_side.py", label="Put these side by side →", query_params={"iterations": named})


if __name__ == "__main__":
    present(show)
