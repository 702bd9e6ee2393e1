"""Contexts as arrays: the declared transformation between a row's features and a graph's inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.errors import UsageError


@dataclass(frozen=True)
class NumericFeature:
    """A number in the context; `missing` stands in where it is unknown, `spread` is its standard deviation."""

    name: str
    missing: float
    spread: float


@dataclass(frozen=True)
class CategoryFeature:
    """A category in the context; levels are numbered from 1, and 0 stands for any other or none."""

    name: str
    levels: tuple[str, ...]


@dataclass(frozen=True)
class Features:
    """The features a policy reads, in the order of its inputs."""

    numeric: tuple[NumericFeature, ...]
    category: tuple[CategoryFeature, ...]


@dataclass(frozen=True)
class Encoded:
    """Contexts as a graph takes them: numeric (round, feature) float32, category (round, feature) int64."""

    numeric: NDArray[np.float32]
    category: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numeric)

    def rows(self, index: NDArray[np.int64]) -> Encoded:
        """The contexts at these positions, repeats allowed."""
        return Encoded(self.numeric[index], self.category[index])


def encode(features: Features, context: pl.DataFrame) -> Encoded:
    """Contexts (columns numeric_… and category_…) as arrays.

    A missing number takes its stand-in, an unseen or missing category code 0. Raises UsageError for a column
    that is not there.
    """
    names = [f"numeric_{f.name}" for f in features.numeric] + [f"category_{f.name}" for f in features.category]
    for name in names:
        if name not in context.columns:
            raise UsageError(
                f"The context lacks {name}, which this policy was trained on; found {', '.join(context.columns[:10])}."
            )
    numeric = np.empty((len(context), len(features.numeric)), dtype=np.float32)
    for column, number in enumerate(features.numeric):
        values = context[f"numeric_{number.name}"].cast(pl.Float64)
        numeric[:, column] = values.fill_nan(None).fill_null(number.missing).to_numpy()
    category = np.empty((len(context), len(features.category)), dtype=np.int64)
    for column, feature in enumerate(features.category):
        codes = {level: code for code, level in enumerate(feature.levels, 1)}
        values = context[f"category_{feature.name}"].cast(pl.String)
        category[:, column] = values.replace_strict(codes, default=0, return_dtype=pl.Int64).to_numpy()
    return Encoded(numeric, category)


def eligible_matrix(sets: pl.Series, actions: tuple[str, ...]) -> NDArray[np.bool_]:
    """Eligible sets (round,) of action names as (round, action).

    Raises UsageError for an empty set or an action that is not among `actions`.
    """
    empty = (sets.list.len().fill_null(0) == 0).arg_true()
    if len(empty):
        raise UsageError(f"Row {empty[0]} has an empty eligible set; there is nothing to decide.")
    number = {action: index for index, action in enumerate(actions)}
    exploded = pl.DataFrame({"name": sets, "row": np.arange(len(sets))}).explode("name")
    codes = exploded["name"].replace_strict(number, default=None, return_dtype=pl.Int64)
    if codes.null_count():
        first = codes.is_null().arg_true()[0]
        raise UsageError(
            f"Row {exploded['row'][first]}: {exploded['name'][first]!r} is not among the actions of this policy: "
            f"{', '.join(actions)}."
        )
    eligible = np.zeros((len(sets), len(actions)), dtype=np.bool_)
    eligible[exploded["row"].to_numpy(), codes.to_numpy()] = True
    return eligible
