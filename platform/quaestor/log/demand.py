"""Recorded demand as a panel: product × store × period, with the calendar of its periods."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.errors import UsageError


@dataclass(frozen=True)
class DemandPanel:
    """Demand in units, (product, store, period), 0 or more; starts_on names the first day of each period, or is
    empty where the records carry no date. returns_clipped: records below 0, which are not demand. stocked_out
    (product, store, period): whether a record is of sales that ended with the stock, so that demand was at least as
    much; None where none is.
    """

    system: str
    products: tuple[str, ...]
    stores: tuple[str, ...]
    starts_on: tuple[date, ...]
    units: NDArray[np.float64]
    returns_clipped: int
    stocked_out: NDArray[np.bool_] | None = None

    @property
    def periods(self) -> int:
        """How many periods are recorded."""
        return int(self.units.shape[2])

    def digest(self) -> str:
        """A digest of everything in the panel."""
        content = hashlib.sha256(repr((self.system, self.products, self.stores, self.starts_on)).encode())
        content.update(np.ascontiguousarray(self.units).tobytes())
        if self.stocked_out is not None:
            content.update(np.ascontiguousarray(self.stocked_out).tobytes())
        return content.hexdigest()

    def take(self, products: NDArray[np.int64]) -> DemandPanel:
        """The panel of these product numbers only."""
        names = tuple(self.products[index] for index in products)
        marked = None if self.stocked_out is None else self.stocked_out[products]
        return replace(self, products=names, units=self.units[products], stocked_out=marked)

    def by_store(self, store: str) -> DemandPanel:
        """Every product in every store as a product of its own, all in the one named store."""
        names = tuple(f"{product}, {here}" for product in self.products for here in self.stores)
        shape = (len(names), 1, self.periods)
        marked = None if self.stocked_out is None else self.stocked_out.reshape(shape)
        return replace(self, products=names, stores=(store,), units=self.units.reshape(shape), stocked_out=marked)


def demand_panel(records: pl.DataFrame, stores: tuple[str, ...]) -> DemandPanel:
    """A panel over the named stores from records (system, product, store, period, starts_on, units, stocked_out).

    Returns (units below 0) are clipped to 0. Raises UsageError when a store has no record or a product lacks a
    period in some store: a gap is not a demand of 0.
    """
    known = records["store"].unique()
    unknown = [store for store in stores if store not in known]
    if unknown:
        raise UsageError(
            f"No demand is recorded for store {', '.join(unknown[:5])}; the records name {', '.join(known.sort()[:8])}."
        )
    kept = records.filter(pl.col("store").is_in(stores))
    products = tuple(kept["product"].unique().sort())
    first, last = int(kept["period"].min()), int(kept["period"].max())  # type: ignore[arg-type]
    periods = last - first + 1
    if len(kept) != len(products) * len(stores) * periods:
        raise UsageError(
            f"Demand has gaps: {len(products)} products × {len(stores)} stores × {periods} periods need "
            f"{len(products) * len(stores) * periods:,} records, found {len(kept):,}. "
            "Record 0 where nothing was asked for."
        )
    order = pl.Enum(stores)
    kept = kept.with_columns(pl.col("store").cast(order)).sort("product", "store", "period")
    units = kept["units"].to_numpy().reshape(len(products), len(stores), periods)
    marked = kept["stocked_out"].to_numpy().reshape(units.shape)
    dates = kept.group_by("period").agg(pl.col("starts_on").first()).sort("period")["starts_on"]
    return DemandPanel(
        system=str(kept["system"][0]),
        products=products,
        stores=stores,
        starts_on=() if dates.null_count() else tuple(dates),
        units=np.maximum(units, 0.0),
        returns_clipped=int((units < 0).sum()),
        stocked_out=marked if marked.any() else None,
    )


def days_from_christmas(starts_on: tuple[date, ...]) -> NDArray[np.float64]:
    """Signed days from each date to the nearest 25 December, (period,); negative before it."""
    days = []
    for day in starts_on:
        distances = [(day - date(year, 12, 25)).days for year in (day.year - 1, day.year)]
        days.append(min(distances, key=abs))
    return np.array(days, dtype=np.float64)
