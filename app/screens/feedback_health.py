"""Feedback health: whether decisions and outcomes arrive as they should, what drifts, what was kept out and why."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import streamlit as st

from app import drifts, freshness, panels
from app.charts import feedback as charts
from app.drawing import draw
from app.guard import nothing_yet, present, reading
from app.links import choose
from app.paging import page_of
from app.queries.evidence import files_of, hours_of
from app.queries.feedback import PAGE, Feedback, drifted, feedback, ingested
from app.queries.store import state
from app.resubmitting import quarantine
from quaestor.alerts.limits import Limits
from quaestor.clock import utc_now

DAYS_DRAWN = 366
FILES_LISTED = 200


def show() -> None:
    """Feedback of every system."""
    now = utc_now().replace(second=0, microsecond=0)
    found = reading(lambda: feedback(now.isoformat()))
    if not found.files and found.newest.is_empty() and found.reasons.is_empty():
        nothing_yet(
            "No event has arrived yet.", "quaestor ingest decisions FILE", "brings in a file of your own events"
        )
        st.text("Or fill the store with the demo's events: make demo")
        return
    st.header(sentence(found), anchor=False)
    freshness.lights(found.newest, now)
    st.subheader("Decisions and outcomes", anchor=False)
    systems(found)
    below = [
        panels.Rows("the counts of each day, newest first, which every count of rounds is a sum of", hours_of),
        panels.Rows(f"the newest {FILES_LISTED} of {found.files:,} files", lambda: files_of(FILES_LISTED)),
    ]
    asked = "quaestor status\nquaestor quarantine list\nquaestor alerts"
    panels.source("these counts", asked, reading(state), below)
    one_system(found, now)
    quarantine(found.reasons)
    st.subheader("Ingest history", anchor=False)
    history(found.files)


def sentence(found: Feedback) -> str:
    """How much arrived, and how much of it was kept out."""
    decisions, kept_out = int(found.systems["decisions"].sum()), int(found.reasons["rows"].sum())
    pending = int(found.systems["pending"].sum())
    waits = {0: "no row waits", 1: "1 row waits"}.get(kept_out, f"{kept_out:,} rows wait")
    files = "1 file was" if found.files == 1 else f"{found.files:,} files were"
    return f"{files} ingested; of {decisions:,} decisions {pending:,} are pending; {waits} in quarantine."


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
        "newest iteration. Delay: from a decision to its first outcome, rounded up to a minute within the first hour "
        "and to an hour beyond."
    )


@st.fragment
def one_system(found: Feedback, now: datetime) -> None:
    """Arrivals by day and drift of one system."""
    deciding = found.systems["system"].to_list()
    names = [*deciding, *(name for name in sorted(set(found.newest["system"])) if name not in deciding)]
    if not names:
        return
    system = choose("System", names, "system", "feedback system")
    arrivals(found, system)
    st.subheader("Drift", anchor=False)
    drift = reading(lambda: drifted(system, now.replace(minute=0).isoformat()))
    st.text(drifts.told(drift))
    levels = drifts.levels(drift)
    if not levels.is_empty():
        panels.table(levels, "Failures and demand before and now, with what chance explains")
    features = drifts.features(drift)
    if not features.is_empty():
        drawn = charts.features_chart(features.head(drifts.FEATURES_DRAWN), Limits().feature_shift or 0.0)
        draw(drawn, alt="How far each feature moved, with what chance alone would show and the limit")
        st.caption(
            "The tick is what chance alone would show at most. Square: recent rounds have a category never seen before."
            + (
                f" The {drifts.FEATURES_DRAWN} that moved furthest of {len(features):,} are drawn."
                if len(features) > drifts.FEATURES_DRAWN
                else ""
            )
        )
    demand = drifts.demand(drift)
    if not demand.is_empty():
        draw(charts.demand_chart(demand), alt=f"Demand of {system} by period")


def arrivals(found: Feedback, system: str) -> None:
    """Decisions by day for one system."""
    days = found.days.filter(pl.col("system") == system)
    if days.is_empty():
        return
    drawn = days.tail(DAYS_DRAWN).select(
        "day",
        pl.col("with_outcome").alias("with an outcome"),
        (pl.col("decisions") - pl.col("with_outcome")).alias("without one yet"),
    )
    long = drawn.unpivot(index="day", variable_name="answer", value_name="decisions")
    draw(charts.arrivals_chart(long), alt=f"Decisions of {system} by day, with and without an outcome")
    if len(days) > DAYS_DRAWN:
        st.caption(f"The newest {DAYS_DRAWN} days of {len(days):,} are drawn.")


@st.fragment
def history(files: int) -> None:
    """A page of what was ingested, newest first."""
    if not files:
        st.text("No file was ingested.")
        return
    page = page_of(files, PAGE, "history page", "files")
    shown = reading(lambda: ingested(page)).with_columns(pl.col("ingested_at").dt.truncate("1s"))
    panels.table(shown.rename({"ingested_at": "ingested at (UTC)"}), "Ingested files, newest first, with their rows")


if __name__ == "__main__":
    present(show)
