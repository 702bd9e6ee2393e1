"""Inventory: whether an iteration orders better than the one before it and than classical policies, and how."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import frames, panels, stock
from app.charts import intervals
from app.charts import network as charts
from app.checks import checks
from app.guard import nothing_yet, present, reading
from app.links import choose_iteration
from app.queries.inventory import inventory_evidence
from app.queries.iterations import Iteration
from app.queries.overview import overview
from app.style import figure, plain
from quaestor.clock import utc_now
from quaestor.registry.evaluation import Evaluation

QUANTITIES: dict[stock.Quantity, str] = {
    "on_hand": "on hand",
    "in_transit": "in transit to it",
    "ordered": "ordered by it",
    "demand": "demand",
    "unmet": "unmet demand",
    "shipped": "shipped from it",
}


def show() -> None:
    """One inventory iteration among its system's."""
    store = reading(overview)
    known = tuple(each for each in store.iterations if each.kind == "inventory")
    if not known:
        nothing_yet("There is no inventory iteration yet.")
        return
    chosen, siblings = choose_iteration("inventory", known)
    evidence = reading(lambda: inventory_evidence(chosen))
    panels.headline(chosen)
    panels.strip(checks(chosen, store.newest, utc_now()))
    panels.reasons(chosen)
    panels.changed(chosen, siblings)
    if chosen.report.evaluation is not None:
        gain(chosen, chosen.report.evaluation)
    if evidence.network is not None:
        inside(evidence.network, evidence.plays)
    learning(evidence.learning_curve, chosen)
    st.subheader("All iterations of this system", anchor=False)
    panels.table(frames.listing(siblings, {}), "Every iteration, newest first")


def gain(chosen: Iteration, evaluation: Evaluation) -> None:
    """The gain over the incumbent and over each yardstick, and the two costs."""
    st.subheader(f"Gain of iteration {chosen.label}", anchor=False)
    value, lower, upper = evaluation.gain
    columns = st.columns(3)
    columns[0].metric(f"Gain ({evaluation.unit})", figure(value), help="The paired difference to the incumbent.")
    columns[1].metric(f"{evaluation.difference.confidence:.0%} interval", f"{figure(lower)} to {figure(upper)}")
    columns[2].metric("Pairs compared", f"{evaluation.pairs:,}", help="Products, each under both policies.")
    left, right = st.columns([3, 2])
    with left:
        drawn = intervals.gain_chart(frames.gains_by(evaluation), evaluation.unit)
        st.altair_chart(drawn, alt="Gain over the incumbent and each yardstick, with intervals and the zero line")
    with right:
        drawn = intervals.value_chart(frames.values([chosen]), f"mean {evaluation.quantity}", evaluation.unit)
        st.altair_chart(drawn, alt="Cost of candidate and incumbent, with intervals")
    st.text(f"By {evaluation.estimator} on {evaluation.evaluated_on}.")
    st.caption(
        "The intervals of the two costs overlap because products differ widely; paired by product, the gain is known "
        "far better. Judge by the gain."
    )


@st.fragment
def inside(network: dict[str, Any], plays: dict[str, Any] | None) -> None:
    """The network, and what happened at a chosen place with a chosen product."""
    st.subheader(plain(f"Inside the network {network['name']}"), anchor=False)
    left, right = st.columns(2)
    places, first = stock.places(network), stock.stores(network)[0]
    said = "A warehouse or a store; it stands out in the picture."
    place = left.selectbox("Place", places, index=places.index(first), help=said)
    edges = stock.edges(network, place)
    drawn = charts.network_chart(stock.nodes(network, place), edges)
    st.altair_chart(drawn, alt=f"The network: who supplies whom, with lead times; {place} stands out")
    if len(edges) < len(network["edges"]):
        st.caption(plain(f"{len(edges):,} edges of {place} are drawn, of {len(network['edges']):,} in the network."))
    if plays is None:
        st.text("No play of this iteration was kept: what happened inside cannot be shown.")
        return
    product = right.selectbox("Product", list(plays["candidate"]), help="The few products whose plays were kept.")
    traces(network, plays, str(product), str(place))
    st.subheader("Cost by cause", anchor=False)
    split = stock.cost_split(plays, str(product))
    st.altair_chart(charts.cost_chart(split), alt="Holding, underage and purchase cost under both policies")
    st.caption("One product's play as it happened in the simulator, not an estimate: it has no interval.")


def traces(network: dict[str, Any], plays: dict[str, Any], product: str, place: str) -> None:
    """Stock and flow at one place through time."""
    counted_from = plays["first_period"] + plays["warmup"]
    found = {name: stock.trace(plays, network, product, place, name) for name in QUANTITIES}
    columns = st.columns(2)
    for number, (name, frame) in enumerate((name, frame) for name, frame in found.items() if not frame.is_empty()):
        drawn = charts.trace_chart(frame, QUANTITIES[name], counted_from)
        with columns[number % 2]:
            st.altair_chart(drawn, alt=f"{QUANTITIES[name]} at {place} through time, candidate against incumbent")


def learning(curve: dict[str, Any] | None, chosen: Iteration) -> None:
    """How training went."""
    st.subheader("Learning curve", anchor=False)
    if curve is None or not curve["epochs"]:
        st.text("This iteration learnt nothing by gradient: there is no learning curve.")
        return
    evaluation = chosen.report.evaluation
    unit = evaluation.unit if evaluation else "cost per store and period"
    drawn = charts.learning_chart(stock.learning(curve), int(curve["best"]), unit)
    st.altair_chart(drawn, alt="Cost by epoch on training and dev periods, and the epoch that was kept")
    if stock.every(len(curve["epochs"])) > 1:
        st.caption(f"One epoch in {stock.every(len(curve['epochs']))} is drawn.")


if __name__ == "__main__":
    present(show)
