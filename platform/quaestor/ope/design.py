"""Contexts as a matrix, for models that are linear in them."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray


def design(taught: pl.DataFrame, asked: pl.DataFrame, levels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intercept, standardised numbers and one-hot levels of two contexts, (round, column) each, by what the first
    one holds; a missing number stands at its mean, an unknown level at none. levels: the most that one category
    gives, the most frequent ones."""
    columns: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = [(np.ones(len(taught)), np.ones(len(asked)))]
    for name in taught.columns:
        if name.startswith("numeric_"):
            first, second = (side[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for side in (taught, asked))
            known = first[np.isfinite(first)]
            spread = float(known.std()) if len(known) else 0.0
            if spread > 0:
                centre = float(known.mean())
                columns.append((_standard(first, centre, spread), _standard(second, centre, spread)))
        else:
            frequent = taught[name].drop_nulls().value_counts(sort=True)[name].head(levels).sort()
            for level in frequent.to_list()[1:]:
                columns.append((_one_hot(taught[name], level), _one_hot(asked[name], level)))
    return np.column_stack([first for first, _ in columns]), np.column_stack([second for _, second in columns])


def _standard(values: NDArray[np.float64], centre: float, spread: float) -> NDArray[np.float64]:
    return np.asarray(np.nan_to_num((values - centre) / spread, posinf=0.0, neginf=0.0))


def _one_hot(values: pl.Series, level: str) -> NDArray[np.float64]:
    return np.asarray((values == level).fill_null(False).to_numpy(), dtype=np.float64)
