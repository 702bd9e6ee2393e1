"""Files in the format of the Favorita weekly sales: many sizes of product, a calendar, bursts and returns."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from quaestor.atomic import write_file
from quaestor.export.rows import written_rows
from quaestor.log.adapters.favorita import CALENDAR
from quaestor.log.demand import days_from_christmas
from quaestor.randomness import generator


def write_favorita(folder: Path, seed: int, products: int = 288, stores: int = 21, weeks: int = 171) -> Path:
    """Writes favorita_weekly_sales.parquet and its calendar; returns the path of the sales.

    Weekly units are negative binomial around product size × store size × slowly drifting level × Christmas;
    one cell in a hundred thousand is a return.
    """
    draw = generator(seed, "favorita look-alike")
    size = np.exp(draw.normal(3.6, 1.0, products))[:, None, None]
    store = np.exp(draw.normal(0.0, 0.5, (products, stores)))[:, :, None]
    drift = np.exp(_random_walk(draw.normal(0.0, 0.06, (products, stores, weeks))))
    starts_on = tuple(date(2013, 1, 1) + timedelta(weeks=week) for week in range(weeks))
    closeness = np.exp(-np.abs(days_from_christmas(starts_on)) / 12.0)
    season = np.exp(draw.gamma(1.5, 0.25, products)[:, None, None] * closeness)
    burst = np.where(draw.random((products, 1, weeks)) < 0.03, draw.uniform(1.3, 2.5, (products, 1, weeks)), 1.0)
    mean = size * store * drift * season * burst
    shape = draw.uniform(2.0, 12.0, products)[:, None, None]
    units = draw.poisson(draw.gamma(shape, mean / shape)).astype(np.int32)
    returned = draw.random(units.shape) < 1e-5
    units = np.where(returned, -np.maximum(units, 1), units)
    product_axis, store_axis, week_axis = np.indices(units.shape)
    path = folder / "favorita_weekly_sales.parquet"
    sales = pl.DataFrame(
        {
            "product": product_axis.ravel().astype(np.int16),
            "store": store_axis.ravel().astype(np.int8),
            "week": week_axis.ravel().astype(np.int16),
            "units": units.ravel().astype(np.int32),
        }
    )
    calendar = {"date": starts_on, "days_from_christmas": days_from_christmas(starts_on).astype(np.int64)}
    write_file(folder / CALENDAR, pl.DataFrame(calendar).write_csv().encode())
    return written_rows(sales, path, "sales")


def _random_walk(steps: np.ndarray) -> np.ndarray:
    """A walk that is pulled back to 0, so that levels drift without running away."""
    level = np.zeros(steps.shape[:2])
    walk = np.empty_like(steps)
    for week in range(steps.shape[2]):
        level = 0.97 * level + steps[:, :, week]
        walk[:, :, week] = level
    return walk
