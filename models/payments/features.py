"""Which features a policy reads, learned from the rounds it trains on."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from quaestor.errors import UsageError
from quaestor.export.encoding import CategoryFeature, Features, NumericFeature
from quaestor.study import did_you_mean


@dataclass(frozen=True)
class FeatureParams:
    """numeric and category: features by name, empty for all that the log has. minimum_count: a level seen in
    fewer rounds is treated as unseen."""

    numeric: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    minimum_count: int = 20


def fit_features(context: pl.DataFrame, params: FeatureParams) -> Features:
    """Stand-ins and spreads of numbers, and the levels of categories, in a context (round by round).

    Features that never vary are left out. Raises UsageError for a feature that the log does not have.
    """
    numeric = []
    for name in _chosen(context, "numeric_", params.numeric):
        values = context[f"numeric_{name}"].cast(pl.Float64).fill_nan(None)
        spread = values.std()
        if isinstance(spread, float) and spread > 0:
            numeric.append(NumericFeature(name, float(values.mean()), spread))  # type: ignore[arg-type]
    category = []
    for name in _chosen(context, "category_", params.category):
        counts = context[f"category_{name}"].cast(pl.String).drop_nulls().value_counts()
        levels = counts.filter(pl.col("count") >= params.minimum_count)[f"category_{name}"].sort()
        if len(levels) > 1:
            category.append(CategoryFeature(name, tuple(levels)))
    return Features(tuple(numeric), tuple(category))


def _chosen(context: pl.DataFrame, prefix: str, names: tuple[str, ...]) -> tuple[str, ...]:
    known = [name.removeprefix(prefix) for name in context.columns if name.startswith(prefix)]
    for name in names:
        if name not in known:
            raise UsageError(f"The log has no {prefix.rstrip('_')} feature {name!r}.{did_you_mean(name, known)}")
    return names or tuple(known)
