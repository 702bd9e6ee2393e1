"""How training went: the learning curve of an iteration."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import stock
from app.charts.network import learning_chart
from app.drawing import draw
from app.queries.iterations import Iteration


def learning(curve: dict[str, Any] | None, chosen: Iteration) -> None:
    """Cost by epoch, and the epoch that was kept."""
    st.subheader("Learning curve", anchor=False)
    if curve is None or not curve["epochs"]:
        st.text("It was fitted in one pass, not epoch by epoch: there is no learning curve.")
        return
    evaluation = chosen.report.evaluation
    unit = evaluation.unit if evaluation else "cost per store and period"
    draw(
        learning_chart(stock.learning(curve), int(curve["best"]), unit),
        alt="Cost by epoch on training and dev periods, and the epoch that was kept",
    )
    drawn = stock.every(len(curve["epochs"]))
    st.caption(
        "What training saw, without an interval: it tells when learning stopped, and the evaluation how good it is."
        + (f" One epoch in {drawn} is drawn." if drawn > 1 else "")
    )
