"""Costs and lead times of each scenario's own: read from a file, or drawn from ranges once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flows.inventory_study import OwnTerms
from models.inventory.layout import Layout
from models.inventory.own_terms import on_terms_of_stores
from quaestor.errors import UsageError
from quaestor.randomness import generator
from quaestor.registry.canonical import digest_of

COLUMNS = ("holding_cost", "underage_cost", "unit_cost", "lead_time")
Key = tuple[str, str]
"""A product and the store that its demand was recorded in."""


def on_own_terms(layout: Layout, params: OwnTerms, keys: Sequence[Sequence[Key]]) -> tuple[Layout, str]:
    """The layout with a row of terms for each scenario, and their digest.

    keys (scenario, store): whose terms hold at each store. holding_cost and underage_cost are the store's; unit_cost
    and lead_time those of every edge into it. What is not told stays the network's.
    Raises UsageError for a file that lacks a scenario or a number that is none.
    """
    told = _from_file(params.file, keys) if params.file is not None else _drawn(params, (len(keys), layout.stores))
    try:
        return on_terms_of_stores(layout, told), digest_of({name: array.tolist() for name, array in told.items()})
    except ValueError as error:
        raise UsageError(f"terms: {error}") from None


def _drawn(params: OwnTerms, shape: tuple[int, int]) -> dict[str, NDArray[np.float64]]:
    chance = generator(params.seed, "terms of each scenario")
    told = {}
    for name, between in (("holding_cost", params.holding_cost), ("underage_cost", params.underage_cost)):
        if between:
            told[name] = chance.uniform(between[0], between[1], shape).round(4)
    if params.lead_time:
        first, last = params.lead_time
        told["lead_time"] = chance.integers(first, last + 1, shape).astype(np.float64)
    return told


def _from_file(path: Path, keys: Sequence[Sequence[Key]]) -> dict[str, NDArray[np.float64]]:
    frame = _read(path)
    names = [name for name in COLUMNS if name in frame.columns]
    if not {"product", "store"} <= set(frame.columns) or not names:
        raise UsageError(f"{path}: expected product, store and some of {', '.join(COLUMNS)}; found {frame.columns}.")
    rows: Mapping[Key, tuple[float, ...]] = {
        (str(row[0]), str(row[1])): row[2:] for row in frame.select("product", "store", *names).iter_rows()
    }
    flat = [key for scenario in keys for key in scenario]
    missing = next((key for key in flat if key not in rows), None)
    if missing is not None:
        raise UsageError(f"{path} has no row for product {missing[0]!r} in store {missing[1]!r}.")
    try:
        values = np.array([rows[key] for key in flat], dtype=np.float64).reshape(len(keys), -1, len(names))
    except (TypeError, ValueError):
        raise UsageError(f"{path}: {', '.join(names)} must be numbers in every row.") from None
    told = {name: values[:, :, column] for column, name in enumerate(names)}
    for name, array in told.items():
        if not np.isfinite(array).all() or (array < 0).any():
            raise UsageError(f"{path}: {name} must be 0 or more in every row.")
    if "underage_cost" in told and (told["underage_cost"] == 0).any():
        raise UsageError(f"{path}: underage_cost must be above 0 in every row, or the store would never order.")
    if "lead_time" in told and (told["lead_time"] != told["lead_time"].round()).any():
        raise UsageError(f"{path}: lead_time must be whole periods in every row.")
    return told


def _read(path: Path) -> pl.DataFrame:
    try:
        keys = {"product": pl.String, "store": pl.String}
        return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, schema_overrides=keys)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UsageError(f"{path} cannot be read as terms: {error}.") from None
