"""Inventory: whether an iteration orders better than the one before it and than classical policies, and how."""

from __future__ import annotations

import shlex

import streamlit as st

from app import frames, panels, stock
from app.charts import intervals
from app.charts import network as charts
from app.checks import stops
from app.drawing import draw
from app.guard import nothing_yet, present, reading
from app.health import health
from app.learnt import learning
from app.links import choose, choose_iteration
from app.origins import below
from app.queries.inventory import InventoryEvidence, inventory_evidence
from app.queries.iterations import Iteration
from app.queries.overview import overview
from app.replays import BASE_STOCK, INCUMBENT, Replay, players, replay
from app.style import figure, plain, short
from app.what_if import UNIT, what_if
from quaestor.clock import utc_now
from quaestor.registry.evaluation import Evaluation
from quaestor.simulation.network import Terms

SUMMED = "all"
"""What the address calls the sum over all products."""
QUANTITIES: dict[stock.Quantity, str] = {
    "on_hand": "on hand",
    "in_transit": "in transit to it",
    "ordered": "ordered by it",
    "demand": "demand",
    "unmet": "not served",
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
    evidence = reading(
        lambda: inventory_evidence(chosen.report.system, chosen.iteration_id, chosen.data.get("network_id"))
    )
    panels.headline(chosen)
    found = health(chosen, store.newest)
    panels.strip(found)
    panels.reasons(chosen)
    panels.changed(chosen, siblings)
    asked = f"quaestor iterations --system {shlex.quote(chosen.report.system)} --json"
    panels.source("this evaluation", asked, store.snapshot, below(chosen))
    if chosen.report.evaluation is not None:
        gain(chosen, chosen.report.evaluation, muted=bool(stops(found)))
    inside(chosen, evidence, store.snapshot)
    learning(evidence.learning_curve, chosen)
    st.subheader("All iterations of this system", anchor=False)
    panels.table(frames.listing(siblings, {}, utc_now()), "Every iteration, newest first")


def gain(chosen: Iteration, evaluation: Evaluation, muted: bool) -> None:
    """The gain over the incumbent and over each yardstick, and the two costs; in grey where a check says stop."""
    st.subheader(f"Gain of iteration {chosen.label}", anchor=False)
    value, lower, upper = evaluation.gain
    columns = st.columns(3)
    columns[0].metric(f"Gain ({evaluation.unit})", figure(value), help="The paired difference to the incumbent.")
    columns[1].metric(f"{evaluation.difference.confidence:.0%} interval", f"{figure(lower)} to {figure(upper)}")
    columns[2].metric("Pairs compared", f"{evaluation.pairs:,}", help="Products, each under both policies.")
    left, right = st.columns([3, 2])
    with left:
        drawn = intervals.gain_chart(frames.gains_by(evaluation), evaluation.unit, chosen.margin, muted)
        draw(drawn, alt="Gain over the incumbent and each yardstick, with intervals and the zero line")
    with right:
        drawn = intervals.value_chart(frames.values([chosen]), f"mean {evaluation.quantity}", evaluation.unit)
        draw(drawn, alt="Cost of candidate and incumbent, with intervals")
    st.caption(
        "The intervals of the two costs overlap because products differ widely; paired by product, the gain is known "
        "far better. Judge by the gain."
    )


@st.fragment
def inside(chosen: Iteration, evidence: InventoryEvidence, snapshot: str) -> None:
    """What happens inside the network when the policies are played again."""
    st.subheader("Inside the network", anchor=False)
    if evidence.damaged is not None:
        st.error(plain(evidence.damaged))
        return
    who = players(chosen.iteration_id, chosen.report.incumbent_id, evidence.yardsticks)
    usual = reading(lambda: replay(evidence, who, Terms()))
    if usual is None:
        st.text("No held-out demand was kept with this iteration, so that its policy cannot be played again here.")
        st.text("What to do next: run its retraining again; what is done is found, and only this is added.")
        st.code("quaestor run inventory --study STUDY", language=None, wrap_lines=True)
        return
    if who.get(INCUMBENT) == evidence.yardsticks.get(BASE_STOCK):
        st.caption("The incumbent is the base stock that was fitted on the same weeks.")
    for name, sentence in usual.absent.items():
        st.warning(plain(f"The policy of the {name} cannot be played: {sentence}"))
    if usual.played:
        place = stock_and_flow(evidence, usual)
        counted = panels.Rows("cost and service of every product", lambda: stock.by_product(usual))
        panels.source("these plays", played_again(chosen), snapshot, [counted])
        what_if(evidence, who, usual, place)


def played_again(chosen: Iteration) -> str:
    """Where what is played comes from, as commands."""
    name = short(chosen.iteration_id)
    return (
        f"select content from evidence where kind = 'scenarios' and iteration_id like '{name}%'\n"
        f"quaestor iterations --system {shlex.quote(chosen.report.system)} --json"
    )


def stock_and_flow(evidence: InventoryEvidence, usual: Replay) -> str:
    """The network with stock and flow, and what happened at a chosen place; returns the place."""
    network, products, content = usual.network, usual.scenarios.products, evidence.drawn or {}
    left, middle, right = st.columns(3)
    said = "A warehouse, a cross-dock or a store; it stands out in the picture."
    first_store = network.warehouses
    place = choose("Place", network.places, "place", "inventory place", first_store, where=left, said=said)
    asked = choose(
        "Product" if usual.scenarios.recorded else "Scenario",
        [*products, SUMMED],
        "product",
        "inventory product",
        where=middle,
        told=lambda name: f"all {len(products)}, summed" if name == SUMMED else name,
        said="The products whose held-out demand was kept with the iteration.",
    )
    product = None if asked == SUMMED else products.index(asked)
    drawn_of = choose("Policy in the picture", list(usual.played), "policy", "inventory policy", where=right)
    nodes = stock.nodes(usual, content, drawn_of, product, place)
    edges = stock.edges(usual, nodes, drawn_of, product, place)
    draw(
        charts.network_chart(nodes, edges),
        alt=f"The network with mean stock and flow under the {drawn_of}; {place} stands out",
    )
    if len(edges) < len(network.source):
        st.caption(plain(f"{len(edges):,} edges of {place} are drawn, of {len(network.source):,} in the network."))
    traces(usual, product, place)
    left, right = st.columns([3, 2])
    with left:
        st.subheader("Cost by cause", anchor=False)
        draw(
            charts.cost_chart(stock.cost_split(usual), UNIT),
            alt="Holding, underage and purchase cost under each policy, with intervals",
        )
    with right:
        st.subheader("Service level", anchor=False)
        draw(
            charts.service_chart(stock.service(usual, place)),
            alt="Share of demand served from stock under each policy, with intervals",
        )
    st.caption(
        f"Cost and service are means over {len(products)} "
        f"{'products' if usual.scenarios.recorded else 'scenarios'} with {stock.CONFIDENCE:.0%} intervals, played "
        "again here from the exported graphs without smoothing noise. The gate judged by the evaluation above, on all "
        "of them and with the noise."
    )
    return place


def traces(usual: Replay, product: int | None, place: str) -> None:
    """Stock and flow at one place through time."""
    counted_from = usual.scenarios.first_period + usual.scenarios.warmup
    columns, drawn = st.columns(2), 0
    for name, told in QUANTITIES.items():
        frame = stock.trace(usual, product, place, name)
        if frame.is_empty():
            continue
        if name == "unmet":
            told = "lost sales" if usual.network.unmet_is_lost else "demand not served at once"
        with columns[drawn % 2]:
            chart = charts.trace_chart(frame, told, counted_from)
            draw(chart, alt=f"{told} at {place} through time under each policy")
        drawn += 1
    if usual.scenarios.periods > stock.PERIODS_DRAWN:
        st.caption(f"The first {stock.PERIODS_DRAWN:,} of {usual.scenarios.periods:,} periods are drawn.")


if __name__ == "__main__":
    present(show)
