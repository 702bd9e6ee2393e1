"""The columns of each kind of file, and how text from a CSV becomes their types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from quaestor.errors import UsageError
from quaestor.study import did_you_mean

Kind = Literal["decisions", "outcomes", "demand", "orders"]
KINDS: tuple[Kind, ...] = ("decisions", "outcomes", "demand", "orders")

NUMERIC_PREFIX = "numeric_"
CATEGORY_PREFIX = "category_"
LIST_SEPARATOR = "|"
"""Parts the entries of a list in a CSV cell: `token|3ds`."""

TIME = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Column:
    """A column of a file: its name, its type in the store, whether a file must have it, and its type in words."""

    name: str
    dtype: pl.DataType
    required: bool
    words: str


COLUMNS: dict[Kind, tuple[Column, ...]] = {
    "decisions": (
        Column("system", pl.String(), False, "text"),
        Column("event_id", pl.String(), True, "text"),
        Column("decided_at", TIME, True, "a time with a zone, such as 2026-01-31T09:30:00Z"),
        Column("iteration_id", pl.String(), False, "text"),
        Column("eligible", pl.List(pl.String()), True, "a list of actions"),
        Column("propensities", pl.List(pl.Float64()), False, "a list of numbers"),
        Column("action", pl.String(), True, "text"),
        Column("propensity", pl.Float64(), True, "a number"),
        Column("fallback", pl.Boolean(), False, "true or false"),
        Column("subject", pl.String(), False, "text"),
    ),
    "outcomes": (
        Column("system", pl.String(), False, "text"),
        Column("event_id", pl.String(), True, "text"),
        Column("revision", pl.Int32(), False, "a whole number"),
        Column("observed_at", TIME, True, "a time with a zone, such as 2026-01-31T09:30:00Z"),
        Column("reward", pl.Float64(), True, "a number"),
    ),
    "demand": (
        Column("system", pl.String(), False, "text"),
        Column("product", pl.String(), True, "text"),
        Column("store", pl.String(), True, "text"),
        Column("period", pl.Int32(), True, "a whole number"),
        Column("starts_on", pl.Date(), False, "a date, such as 2026-01-31"),
        Column("units", pl.Float64(), True, "a number"),
        Column("stocked_out", pl.Boolean(), False, "true or false"),
    ),
    "orders": (
        Column("system", pl.String(), False, "text"),
        Column("product", pl.String(), True, "text"),
        Column("period", pl.Int32(), True, "a whole number"),
        Column("decided_at", TIME, True, "a time with a zone, such as 2026-01-31T09:30:00Z"),
        Column("iteration_id", pl.String(), True, "text"),
        Column("sources", pl.List(pl.String()), True, "a list of places"),
        Column("targets", pl.List(pl.String()), True, "a list of places"),
        Column("units", pl.List(pl.Float64()), True, "a list of numbers"),
        Column("readings", pl.String(), False, "what was seen, as JSON"),
    ),
}


def typed(kind: Kind, frame: pl.DataFrame, system: str | None, where: str) -> pl.DataFrame:
    """The frame with exactly the columns of its kind (and features, for decisions), each of its type.

    A value that cannot be read becomes null and `unreadable` says so (text, else null), so that the contract can
    refuse that row alone. Raises UsageError for a missing or unknown column, or when the rows
    name no system and none was given.
    """
    columns = {column.name: column for column in COLUMNS[kind]}
    _refuse_unknown_columns(kind, frame, where)
    for column in columns.values():
        if column.required and column.name not in frame.columns:
            raise UsageError(
                f"{where}: {kind} need a column {column.name!r} ({column.words}); "
                f"found {', '.join(frame.columns[:12]) or 'no columns'}."
            )
    if "system" not in frame.columns and system is None:
        raise UsageError(f"{where}: no column 'system' and no --system; say which system these {kind} belong to.")
    parsed = {name: _parsed(column, frame) for name, column in columns.items()}
    if system is not None and "system" not in frame.columns:
        parsed["system"] = pl.lit(system)
    for name in features(frame):
        numeric = name.startswith(NUMERIC_PREFIX)
        parsed[name] = _parsed(Column(name, pl.Float64() if numeric else pl.String(), False, "a number"), frame)
    unreadable = [
        pl.when(pl.col(name).is_not_null() & expression.is_null()).then(
            pl.lit(f"{name} is not {columns[name].words if name in columns else 'a number'}")
        )
        for name, expression in parsed.items()
        if name in frame.columns and not expression.meta.eq(pl.col(name))
    ]
    return frame.select(
        *(expression.alias(name) for name, expression in parsed.items()),
        pl.coalesce(*unreadable, pl.lit(None, dtype=pl.String)).alias("unreadable"),
    )


def zoned_time(text: pl.Expr) -> pl.Expr:
    """Times in UTC from text; null without a zone, for what such a time means depends on where it was written."""
    zoned = text.str.contains(r"(Z|[+-]\d{2}:?\d{2})$")
    return pl.when(zoned).then(text.str.to_datetime(time_unit="us", time_zone="UTC", strict=False))


def features(frame: pl.DataFrame) -> list[str]:
    """The context columns of a decisions file, in file order."""
    return [name for name in frame.columns if name.startswith((NUMERIC_PREFIX, CATEGORY_PREFIX))]


def _refuse_unknown_columns(kind: Kind, frame: pl.DataFrame, where: str) -> None:
    known = {column.name for column in COLUMNS[kind]}
    if kind == "decisions":
        known |= set(features(frame))
    for name in frame.columns:
        if name not in known:
            rest = " A feature is named numeric_… or category_….)" if kind == "decisions" else ")"
            raise UsageError(f"{where}: {kind} have no column {name!r}.{did_you_mean(name, known)} ({rest.lstrip()}")


def _parsed(column: Column, frame: pl.DataFrame) -> pl.Expr:
    if column.name not in frame.columns:
        return pl.lit(None, dtype=column.dtype)
    found = frame.schema[column.name]
    value = pl.col(column.name)
    if found == column.dtype:
        return value
    if found == pl.String and column.dtype != pl.String:
        return _from_text(column, value)
    if column.dtype == TIME and isinstance(found, pl.Datetime):
        return value.dt.convert_time_zone("UTC").cast(TIME) if found.time_zone else pl.lit(None, dtype=TIME)
    return value.cast(column.dtype, strict=False)


def _from_text(column: Column, value: pl.Expr) -> pl.Expr:
    value = value.str.strip_chars()
    if column.dtype == TIME:
        return zoned_time(value)
    if column.dtype == pl.Date:
        return value.str.to_date(strict=False)
    if column.dtype == pl.Boolean:
        return value.str.to_lowercase().replace_strict(
            {"true": True, "1": True, "false": False, "0": False}, default=None, return_dtype=pl.Boolean
        )
    if isinstance(column.dtype, pl.List):
        return value.str.split(LIST_SEPARATOR).cast(column.dtype, strict=False)
    return value.cast(column.dtype, strict=False)
