"""The panel of decisions that change: in which segments, from which action to which, and what that is worth."""

from __future__ import annotations

import streamlit as st

from app import panels, parted
from app.changed_orders import changed_orders
from app.charts.segments import segment_chart
from app.drawing import draw
from app.links import choose
from app.queries.iterations import Iteration
from app.style import short
from quaestor.registry.segments import Segments


def changed_decisions(segments: Segments | None, chosen: Iteration) -> None:
    """Which decisions change against the incumbent, by segment, and what that is worth."""
    st.subheader("Decisions that change", anchor=False)
    if chosen.kind == "inventory":
        changed_orders(chosen, chosen.report.incumbent_id)
        return
    if segments is None:
        st.text("Where it decides otherwise was not kept of this iteration. Evaluating it again keeps it:")
        against = short(chosen.report.incumbent_id)
        st.code(
            f"quaestor evaluate --candidate {short(chosen.iteration_id)} --incumbent {against}",
            language=None,
            wrap_lines=True,
        )
        return
    segmented(segments, "iteration")


@st.fragment
def segmented(segments: Segments, key: str) -> None:
    """Changes and gains by the levels of a chosen feature."""
    everything = segments.everything
    panels.say(
        f"At least {everything.changed.value:.1%} of decisions change ({everything.changed.lower:.1%} to "
        f"{everything.changed.upper:.1%}): that much the two policies' probabilities differ."
    )
    features = parted.features(segments)
    chosen = choose("Parted by", features, "by", f"{key} feature") if features else ""
    shown = parted.of_feature(segments, chosen)
    left, right = st.columns(2)
    with left:
        drawn = segment_chart(parted.one(shown, "changed"), "share of decisions that change", zero=True)
        draw(drawn, alt="Share of decisions that change in each segment, with intervals")
    with right:
        drawn = segment_chart(parted.one(shown, "gain"), "gain in reward a round, better to the right", zero=True)
        draw(drawn, alt="Gain in each segment, with intervals and the zero line")
    said = f"Intervals hold for each segment by itself: of {len(shown)} segments, one may well lie outside."
    st.caption(f"{said} {parted.LEFT_OUT}")
    with st.expander("Which action gives way to which"):
        panels.table(parted.moves(segments), "Moves between actions, as shares of all decisions")
