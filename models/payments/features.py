"""Which features a policy reads, learned from the rounds it trains on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from quaestor.errors import UsageError
from quaestor.export.encoding import CategoryFeature, Features, NumericFeature
from quaestor.study import did_you_mean


@dataclass(frozen=True)
class FeatureParams:
    """numeric and category: features by name, empty for all that the log has. minimum_count: a level seen in
    fewer rounds is treated as unseen. units of numbers, for the bundle's readers. ranges (lowest, highest) within
    which the policy may decide; what training saw, and a tenth more, where none is declared. closed: categories
    for whose unseen levels the default action is taken."""

    numeric: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    minimum_count: int = 20
    units: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, tuple[float, ...]] = field(default_factory=dict)
    closed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, bounds in self.ranges.items():
            if len(bounds) != 2 or not bounds[0] < bounds[1]:
                raise ValueError(f"ranges.{name} must be [lowest, highest], found {list(bounds)}.")


def fit_features(context: pl.DataFrame, params: FeatureParams) -> Features:
    """Stand-ins and spreads of numbers, and the levels of categories, in a context (round by round).

    Features that never vary are left out. Raises UsageError for a feature that the log does not have.
    """
    numeric = []
    for name in _chosen(context, "numeric_", params.numeric):
        values = context[f"numeric_{name}"].cast(pl.Float64).fill_nan(None)
        spread = values.std()
        if isinstance(spread, float) and spread > 0:
            seen = (float(values.min()), float(values.max()))  # type: ignore[arg-type]
            mean = float(values.mean())  # type: ignore[arg-type]
            numeric.append(numeric_feature(name, mean, spread, seen, bool(values.null_count()), params))
    category = []
    for name in _chosen(context, "category_", params.category):
        counts = context[f"category_{name}"].cast(pl.String).drop_nulls().value_counts()
        levels = counts.filter(pl.col("count") >= params.minimum_count)[f"category_{name}"].sort()
        if len(levels) > 1:
            category.append(category_feature(name, tuple(levels), params))
    return Features(tuple(numeric), tuple(category))


def numeric_feature(
    name: str, mean: float, spread: float, seen: tuple[float, float], missing: bool, params: FeatureParams
) -> NumericFeature:
    """A number as declared, or as training saw it: between `seen` (lowest, highest), and sometimes missing or never."""
    lowest, highest = params.ranges.get(name) or _widened(*seen)
    when_missing: Literal["stand_in", "fallback"] = "stand_in" if missing else "fallback"
    return NumericFeature(name, mean, spread, lowest, highest, params.units.get(name, ""), when_missing)


def category_feature(name: str, levels: tuple[str, ...], params: FeatureParams) -> CategoryFeature:
    """A category with the levels that training saw often enough."""
    return CategoryFeature(name, levels, "fallback" if name in params.closed else "other")


def _widened(lowest: float, highest: float) -> tuple[float, float]:
    """A range and a tenth of its width on either side, but never across zero."""
    margin = (highest - lowest) / 10
    below, above = lowest - margin, highest + margin
    return max(below, 0.0) if lowest >= 0 else below, min(above, 0.0) if highest <= 0 else above


def _chosen(context: pl.DataFrame, prefix: str, names: tuple[str, ...]) -> tuple[str, ...]:
    known = [name.removeprefix(prefix) for name in context.columns if name.startswith(prefix)]
    for name in names:
        if name not in known:
            raise UsageError(f"The log has no {prefix.rstrip('_')} feature {name!r}.{did_you_mean(name, known)}")
    return names or tuple(known)
