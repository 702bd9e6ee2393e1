"""Contexts as arrays: the declared transformation between a row's features and a graph's inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from quaestor.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

VERSION = 1
"""Of the transformation in `encode`; a bundle names the version it was trained with."""


LARGEST = float(np.finfo(np.float32).max)
"""No number beyond this can be decided on: graphs take 32-bit numbers."""


@dataclass(frozen=True)
class NumericFeature:
    """A number in the context, in `unit`; `missing` is its mean and `spread` its standard deviation.

    The policy decides only between lowest and highest, as far as they are declared. Where the number is unknown
    its mean stands in, or the policy steps back (`fallback`): see `unfit`.
    """

    name: str
    missing: float
    spread: float
    lowest: float | None = None
    highest: float | None = None
    unit: str = ""
    when_missing: Literal["stand_in", "fallback"] = "stand_in"


@dataclass(frozen=True)
class CategoryFeature:
    """A category in the context; levels are numbered from 1, and 0 stands for any other or none.

    Any other level counts as 0, or the policy steps back (`fallback`): see `unfit`.
    """

    name: str
    levels: tuple[str, ...]
    when_unseen: Literal["other", "fallback"] = "other"


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
    that is not there or not of its type.
    """
    import polars as pl

    names = [f"numeric_{f.name}" for f in features.numeric] + [f"category_{f.name}" for f in features.category]
    for name in names:
        if name not in context.columns:
            raise UsageError(
                f"The context lacks {name}, which this policy was trained on; found {', '.join(context.columns[:10])}."
            )
    numeric = np.empty((len(context), len(features.numeric)), dtype=np.float32)
    for column, number in enumerate(features.numeric):
        values = _numbers(context, number).fill_nan(None).fill_null(number.missing).clip(-LARGEST, LARGEST)
        numeric[:, column] = values.to_numpy()
    category = np.empty((len(context), len(features.category)), dtype=np.int64)
    for column, feature in enumerate(features.category):
        codes = {level: code for code, level in enumerate(feature.levels, 1)}
        values = context[f"category_{feature.name}"].cast(pl.String)
        category[:, column] = values.replace_strict(codes, default=0, return_dtype=pl.Int64).to_numpy()
    return Encoded(numeric, category)


def unfit(features: Features, context: pl.DataFrame, encoded: Encoded) -> NDArray[np.bool_]:
    """Which rounds lie outside what the policy was made for, (round,): a number beyond its declared range or
    infinite, or a missing number or unseen category that nothing may stand in for."""
    outside = np.zeros(len(context), dtype=np.bool_)
    for number in features.numeric:
        values = _numbers(context, number).fill_nan(None)
        known = values.fill_null(number.missing).to_numpy()
        outside |= np.abs(known) > LARGEST
        if number.lowest is not None:
            outside |= known < number.lowest
        if number.highest is not None:
            outside |= known > number.highest
        if number.when_missing == "fallback":
            outside |= values.is_null().to_numpy()
    for column, category in enumerate(features.category):
        if category.when_unseen == "fallback":
            outside |= encoded.category[:, column] == 0
    return outside


def _numbers(context: pl.DataFrame, feature: NumericFeature) -> pl.Series:
    import polars as pl

    values = context[f"numeric_{feature.name}"]
    if not values.dtype.is_numeric() and values.dtype != pl.Null:
        raise UsageError(f"numeric_{feature.name} must be numbers, found {values.dtype}.")
    return values.cast(pl.Float64)


def eligible_matrix(sets: pl.Series, actions: tuple[str, ...]) -> NDArray[np.bool_]:
    """Eligible sets (round,) of action names as (round, action).

    Raises UsageError for an empty set or an action that is not among `actions`.
    """
    import polars as pl

    empty = (sets.list.len().fill_null(0) == 0).arg_true()
    if len(empty):
        raise UsageError(f"Row {empty[0]} has an empty eligible set; there is nothing to decide.")
    codes = sets.explode().cast(pl.Enum(actions), strict=False).to_physical()
    row = np.repeat(np.arange(len(sets)), sets.list.len().to_numpy())
    if codes.null_count():
        first = codes.is_null().arg_true()[0]
        name = sets.explode()[first]
        raise UsageError(f"Row {row[first]}: {name!r} is not among the actions of this policy: {', '.join(actions)}.")
    eligible = np.zeros((len(sets), len(actions)), dtype=np.bool_)
    eligible[row, codes.to_numpy()] = True
    return eligible
