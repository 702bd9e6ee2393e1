"""The panel of orders that change: what two order policies answer to the same stock, by place and by product."""

from __future__ import annotations

import numpy as np
import polars as pl
import streamlit as st

from app import panels
from app.charts.segments import segment_chart
from app.drawing import draw
from app.guard import reading
from app.queries.inventory import InventoryEvidence, inventory_evidence
from app.queries.iterations import Iteration
from app.replays import beside
from app.style import plain, shown
from quaestor.errors import QuaestorError
from quaestor.ope.interval import paired_interval
from quaestor.simulation.network import Floats, PlainNetwork
from quaestor.simulation.scenarios import PlainScenarios

LEAST = 0.5
"""Units by which two orders must differ to count as different decisions."""
PLACES_DRAWN = 40
ALL = "all places"
_SEGMENT = {
    "segment": pl.String, "who": pl.String, "value": pl.Float64, "lower": pl.Float64, "upper": pl.Float64,
    "rounds": pl.Int64,
}  # fmt: skip


@st.fragment
def changed_orders(first: Iteration, second_id: str | None) -> None:
    """Where an order policy decides otherwise than another one, asked about the same stock."""
    name, system, network_id = first.iteration_id, first.report.system, first.data.get("network_id")
    evidence = reading(lambda: inventory_evidence(system, name, network_id))
    network, scenarios = evidence.network, evidence.scenarios
    if second_id is None or network is None or scenarios is None:
        _unknown(evidence)
        return
    try:
        answered = reading(lambda: beside(evidence, name, second_id))
    except QuaestorError as error:
        st.warning(plain(f"They cannot be asked: {error}"))
        return
    if answered is None:
        _unknown(evidence)
        return
    share, more = by_place(network, scenarios, *answered)
    everywhere = share.row(0, named=True)
    panels.say(
        f"{everywhere['value']:.1%} of orders change by {LEAST:g} units or more ({everywhere['lower']:.1%} to "
        f"{everywhere['upper']:.1%}), asked about the stock that {second_id[:12]} brought about."
    )
    left, right = st.columns(2)
    with left:
        drawn = segment_chart(share.head(PLACES_DRAWN), "share of orders that change", zero=True)
        draw(drawn, alt="Share of orders that change at each place, with intervals")
    with right:
        drawn = segment_chart(more.head(PLACES_DRAWN), "units ordered a period, more to the right", zero=True)
        draw(drawn, alt="How much more or less is ordered at each place, with intervals and the zero line")
    left_out = len(share) - PLACES_DRAWN
    st.caption(
        f"Intervals are over {len(scenarios.products)} products on the counted periods, each place by itself."
        + (f" The {PLACES_DRAWN - 1} places that change most are drawn; {left_out} are not." if left_out > 0 else "")
    )
    with st.expander("By product"):
        panels.table(by_product(network, scenarios, *answered), "Orders that change, of each product")
        st.caption("Counted over every order of the counted periods: a count of one product has no interval.")


def by_place(
    network: PlainNetwork, scenarios: PlainScenarios, asked: Floats, led: Floats
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The share of orders that change, and how many units more are ordered a period, at each place, those that change
    most first and all together before them; orders are (product, period, edge). Each: segment, who, value, lower,
    upper, rounds."""
    difference = (asked - led)[:, scenarios.warmup :]
    into = [(ALL, np.ones(len(network.target), dtype=np.bool_))]
    into += [(place, network.target == number) for number, place in enumerate(network.places)]
    shares, units = [], []
    for place, edges in into:
        own = difference[:, :, edges]
        if own.shape[2]:
            changed = (np.abs(own) >= LEAST).mean(axis=(1, 2))
            shares.append(_row(place, changed, own.size))
            units.append(_row(place, own.sum(axis=2).mean(axis=1), own.size))
    order = [0, *sorted(range(1, len(shares)), key=lambda row: -shares[row][2])]
    return tuple(  # type: ignore[return-value]
        pl.DataFrame([rows[row] for row in order], schema=_SEGMENT, orient="row") for rows in (shares, units)
    )


def by_product(network: PlainNetwork, scenarios: PlainScenarios, asked: Floats, led: Floats) -> pl.DataFrame:
    """The same of each product, the one that changes most first: product, orders, share that change, units more a
    period (over all places), and where most of it happens."""
    difference = (asked - led)[:, scenarios.warmup :]
    moved = np.abs(difference).mean(axis=1)
    rows = []
    for number, product in enumerate(scenarios.products):
        own, most = difference[number], int(np.argmax(moved[number]))
        rows.append(
            {
                "product": shown(product, 60),
                "orders": own.size,
                "share that change": f"{(np.abs(own) >= LEAST).mean():.1%}",
                "units more a period": float(own.sum(axis=1).mean()),
                "most at": network.places[int(network.target[most])] if moved[number, most] else "nowhere",
            }
        )
    return pl.DataFrame(rows).sort(pl.col("units more a period").abs(), descending=True)


def _row(place: str, values: Floats, orders: int) -> tuple[str, str, float, float, float, int]:
    value = lower = upper = float(values.mean())
    if len(values) > 1:
        found = paired_interval(values)
        lower, upper = found.lower, found.upper
    return shown(place, 40), "candidate", value, lower, upper, orders


def _unknown(evidence: InventoryEvidence) -> None:
    said = evidence.damaged or "No held-out demand was kept with it, so that nobody can be asked."
    panels.say(f"{said} Running its retraining again keeps it:")
    st.code("quaestor run inventory --study STUDY", language=None, wrap_lines=True)
