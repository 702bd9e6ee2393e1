"""How fresh each system is: the oldest of the parts it needs rules its light."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import streamlit as st

from app import panels
from app.checks import STALE_AFTER
from app.style import STATUS_BADGES, STATUS_SIGNS, Status, plain


def lights(newest: pl.DataFrame, now: datetime) -> None:
    """One light a system, and the age of every part, the oldest first; newest: system, part, newest_at."""
    st.subheader("Freshness", anchor=False)
    if newest.is_empty():
        st.text("No dated event has arrived.")
        return
    with st.container(horizontal=True):
        for system, part, status in ruled(newest, now).select("system", "part", "status").iter_rows():
            label = f"{STATUS_SIGNS[Status(status)]} {plain(system)}: {status}"
            said = f"Its oldest part rules: {part}. Watched beyond {STALE_AFTER // timedelta(days=1)} days."
            st.badge(label, color=STATUS_BADGES[Status(status)], help=said)
    shown = newest.select(
        "system",
        pl.col("part").alias("newest of"),
        pl.col("newest_at").dt.truncate("1s").alias("is of (UTC)"),
        (pl.lit(now) - pl.col("newest_at")).dt.total_minutes().truediv(24 * 60).round(1).alias("age (days)"),
    )
    panels.table(shown, "The newest event of each kind, oldest first")


def ruled(newest: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Each system's light by its oldest part, parts without a date first of all: system, part, newest_at, status."""
    stale = pl.col("newest_at").is_null() | (pl.lit(now) - pl.col("newest_at") > STALE_AFTER)
    return (
        newest.sort("newest_at", nulls_last=False)
        .group_by("system", maintain_order=True)
        .first()
        .with_columns(
            status=pl.when(pl.col("newest_at").is_null())
            .then(pl.lit(str(Status.WAITING)))
            .when(stale)
            .then(pl.lit(str(Status.WATCH)))
            .otherwise(pl.lit(str(Status.OK)))
        )
        .sort("system")
    )
