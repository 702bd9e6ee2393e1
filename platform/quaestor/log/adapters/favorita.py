"""Weekly sales of the Favorita grocery competition, as product × store × week with a calendar beside them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from quaestor.errors import UsageError
from quaestor.log.columns import Kind

CALENDAR = "favorita_weeks.csv"


def read_favorita(raw: pl.DataFrame, path: Path, system: str | None) -> dict[Kind, pl.DataFrame]:
    """Demand records of a file with product, store, week and units, dated by the calendar beside it.

    Raises UsageError when a column or the calendar is missing.
    """
    missing = [column for column in ("product", "store", "week", "units") if column not in raw.columns]
    if missing:
        raise UsageError(f"{path.name}: a Favorita file needs the columns {', '.join(missing)}.")
    calendar_path = path.parent / CALENDAR
    if not calendar_path.exists():
        raise UsageError(f"{path.name}: its calendar {CALENDAR} must lie beside it; one row a week, column 'date'.")
    calendar = pl.read_csv(calendar_path, columns=["date"], try_parse_dates=True).with_row_index("period")
    demand = raw.select(
        system=pl.lit(system or "favorita"),
        product=pl.format("P{}", pl.col("product").cast(pl.String).str.zfill(3)),
        store=pl.format("S{}", pl.col("store").cast(pl.String).str.zfill(2)),
        period=pl.col("week").cast(pl.Int32),
        units=pl.col("units").cast(pl.Float64),
    ).join(calendar.select(pl.col("period").cast(pl.Int32), starts_on="date"), on="period", how="left")
    return {"demand": demand}
