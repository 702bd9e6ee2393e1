"""The what-if panel: the same policies on the same demand, on other costs, lead times or levels of demand."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import panels, stock
from app.charts import intervals
from app.charts import network as charts
from app.drawing import draw
from app.queries.inventory import InventoryEvidence
from app.replays import Replay, replay
from quaestor.simulation.network import Terms

LARGEST = 10.0
LONGER = 12
UNIT = "cost per store and period"
UNTOLD = (
    "The policies were learnt for the network as it is: other costs and lead times happen to them, they are not told "
    "of them. Retrain to see what a policy that knows would do."
)
TOLD = "Each series has terms of its own; the policies that read them are told of the new ones."


@st.fragment
def what_if(evidence: InventoryEvidence, who: Mapping[str, str], usual: Replay, place: str) -> None:
    """Asks for other terms and plays again on them."""
    st.subheader("What if", anchor=False)
    terms = asked()
    if terms == Terms():
        st.text("Change a figure and play again: every policy meets the same demand on the new terms.")
        return
    began = perf_counter()
    other = replay(evidence, who, terms)
    if other is None or not other.played:
        return
    gains = stock.compared((("as it is", usual), ("what if", other)))
    if not gains.is_empty():
        drawn = intervals.gain_chart(gains, UNIT)
        draw(drawn, alt="Gain of the candidate over each policy, as it is and on these terms, with intervals")
    before, after = stock.cost_split(usual), stock.cost_split(other)
    furthest = max(float(frame["upper"].max() or 0) for frame in (before, after))  # type: ignore[arg-type]
    left, right = st.columns(2)
    with left:
        st.text("Cost by cause as it is")
        drawn = charts.cost_chart(before, UNIT, furthest)
        draw(drawn, alt="Cost by cause as it is under each policy, with intervals, on the same axis")
    with right:
        st.text("Cost by cause on these terms")
        drawn = charts.cost_chart(after, UNIT, furthest)
        draw(drawn, alt="Cost by cause on these terms under each policy, with intervals, on the same axis")
    st.text("Service on these terms")
    drawn = charts.service_chart(stock.service(other, place))
    draw(drawn, alt="Share of demand served from stock on these terms, with intervals")
    panels.table(stock.beside(usual, other), "Cost and service of each policy, as it is and on these terms")
    st.caption(
        f"{len(other.scenarios.products)} products were played again in {perf_counter() - began:.1f} s from the "
        f"exported graphs, without smoothing noise. {TOLD if usual.scenarios.terms else UNTOLD}"
    )


def asked() -> Terms:
    """The terms that the reader asks for."""
    with st.form("what if", border=True):
        first, second, third, fourth, fifth = st.columns(5, vertical_alignment="bottom")
        holding = factor(first, "Holding cost")
        underage = factor(second, "Underage cost", 0.1)
        purchase = factor(third, "Purchase cost")
        demand = factor(fourth, "Demand")
        said = "Added to the lead time of every edge; none falls below 1."
        longer = fifth.number_input("Lead time + (periods)", -LONGER, LONGER, 0, 1, help=said, key="what if lead time")
        st.form_submit_button("Play again")
    return Terms(holding, underage, purchase, demand, int(longer))


def factor(column: DeltaGenerator, what: str, least: float = 0.0) -> float:
    """What something is multiplied by, as the reader asks."""
    key = f"what if {what.lower()}"
    return float(column.number_input(f"{what} ×", least, LARGEST, 1.0, 0.1, key=key))
