"""Feedback health: whether decisions and outcomes arrive as they should, and what was kept out and why."""

from __future__ import annotations

import polars as pl
import streamlit as st

from app import panels
from app.charts import feedback as charts
from app.guard import nothing_yet, present, reading
from app.queries.feedback import Feedback, feedback

DAYS_DRAWN = 366


def show() -> None:
    """Feedback of every system."""
    found = reading(feedback)
    if found.files.is_empty() and found.systems.is_empty() and found.reasons.is_empty():
        nothing_yet(
            "No event has arrived yet.", "quaestor ingest decisions FILE", "brings in a file of your own events"
        )
        st.text("Or fill the store with the demo's events: make demo")
        return
    st.header(sentence(found), anchor=False)
    st.subheader("Decisions and outcomes", anchor=False)
    systems(found)
    arrivals(found)
    quarantine(found)
    st.subheader("Ingest history", anchor=False)
    shown = found.files.with_columns(pl.col("ingested_at").dt.truncate("1s")).rename(
        {"ingested_at": "ingested at (UTC)"}
    )
    panels.table(shown, "Every ingested file, newest first, with its rows")


def sentence(found: Feedback) -> str:
    """How much arrived, and how much of it was kept out."""
    decisions, kept_out = int(found.systems["decisions"].sum()), int(found.reasons["rows"].sum())
    pending = int(found.systems["pending"].sum())
    waits = {0: "no row waits", 1: "1 row waits"}.get(kept_out, f"{kept_out:,} rows wait")
    return (
        f"{len(found.files):,} files were ingested; of {decisions:,} decisions {pending:,} are pending; "
        f"{waits} in quarantine."
    )


def systems(found: Feedback) -> None:
    """Each system's rounds by how their attribution window stands, and how long outcomes take."""
    if found.systems.is_empty():
        st.text("No decision has arrived yet.")
        return
    shown = found.systems.select(
        "system",
        "decisions",
        pl.col("with_outcome").alias("with outcome"),
        "matured",
        "expired",
        "pending",
        pl.col("window_hours").alias("window (hours)"),
        pl.col("median_delay_hours").round(2).alias("median delay (hours)"),
        pl.col("newest_decision").dt.truncate("1s").alias("newest decision (UTC)"),
        pl.col("newest_outcome").dt.truncate("1s").alias("newest outcome (UTC)"),
    )
    panels.table(shown, "Decisions and outcomes of each system")
    st.caption(
        "Matured: the attribution window closed on an outcome. Expired: it closed on none, and the round counts as the "
        "declared default. Pending: it is still open, and the round teaches nothing yet. The window is that of the "
        "newest iteration. Delay: from a decision to its outcome."
    )


def arrivals(found: Feedback) -> None:
    """Decisions by day for one system."""
    if found.days.is_empty():
        return
    system = st.selectbox("System", found.days["system"].unique(maintain_order=True).to_list())
    days = found.days.filter(pl.col("system") == system)
    drawn = days.tail(DAYS_DRAWN).select(
        "day",
        pl.col("with_outcome").alias("with an outcome"),
        (pl.col("decisions") - pl.col("with_outcome")).alias("without one yet"),
    )
    long = drawn.unpivot(index="day", variable_name="answer", value_name="decisions")
    st.altair_chart(charts.arrivals_chart(long), alt=f"Decisions of {system} by day, with and without an outcome")
    if len(days) > DAYS_DRAWN:
        st.caption(f"The newest {DAYS_DRAWN} days of {len(days):,} are drawn.")


def quarantine(found: Feedback) -> None:
    """What was kept out, and why."""
    st.subheader("Quarantine", anchor=False)
    if found.reasons.is_empty():
        st.text("No row waits in quarantine.")
        return
    times = [pl.col(name).dt.truncate("1s").alias(f"{name.split('_')[0]} (UTC)") for name in ("first_at", "last_at")]
    panels.table(
        found.reasons.select("system", "kind", "code", "rows", pl.col("reason").alias("reason, by example"), *times),
        "Rows in quarantine by system, kind and code, with a reason",
    )


if __name__ == "__main__":
    present(show)
