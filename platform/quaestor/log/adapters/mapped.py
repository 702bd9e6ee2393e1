"""Logs that teams already have: CSV or parquet whose columns a TOML file maps to those of decisions and outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from quaestor.errors import UsageError
from quaestor.log.columns import LIST_SEPARATOR, Kind
from quaestor.study import did_you_mean, parse, read_toml


@dataclass(frozen=True)
class DecisionColumns:
    """The file's column for each of ours; numeric and category map features by our name. Without `eligible` every
    action of the mapping was."""

    event_id: str
    decided_at: str
    action: str
    propensity: str
    eligible: str | None = None
    propensities: str | None = None
    iteration_id: str | None = None
    fallback: str | None = None
    subject: str | None = None
    numeric: dict[str, str] = field(default_factory=dict)
    category: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OutcomeColumns:
    """The file's column for each of ours. A row without a reward has no outcome yet."""

    event_id: str
    observed_at: str
    reward: str
    revision: str | None = None


@dataclass(frozen=True)
class Mapping:
    """How a file is read. actions: all of them, where the file does not list the eligible ones. separator: between
    entries of a list in a cell. time_zone: of times that name none. rewards: what a word in the reward's column is
    worth, such as approved = 1."""

    system: str | None = None
    decisions: DecisionColumns | None = None
    outcomes: OutcomeColumns | None = None
    actions: tuple[str, ...] = ()
    separator: str = LIST_SEPARATOR
    time_zone: str | None = None
    rewards: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.decisions is None and self.outcomes is None:
            raise ValueError("a mapping needs a table [decisions], [outcomes] or both.")
        if self.decisions is not None and self.decisions.eligible is None and not self.actions:
            raise ValueError("name the column of eligible actions (decisions.eligible) or list them all (actions).")


def read_mapping(path: Path) -> Mapping:
    """Reads a mapping; raises UsageError for anything it does not know."""
    return parse(Mapping, read_toml(path), str(path))


def mapped(raw: pl.DataFrame, mapping: Mapping, where: str) -> dict[Kind, pl.DataFrame]:
    """The file's rows as decisions and outcomes; raises UsageError for a column that the file does not have."""
    frames: dict[Kind, pl.DataFrame] = {}
    system = [] if mapping.system is None else [pl.lit(mapping.system).alias("system")]
    if mapping.decisions is not None:
        own = mapping.decisions
        columns = {
            "event_id": _text(raw, own.event_id, where),
            "decided_at": _time(raw, own.decided_at, mapping, where),
            "action": _text(raw, own.action, where),
            "propensity": _column(raw, own.propensity, where),
            "eligible": _list(raw, own.eligible, mapping, where) if own.eligible else pl.lit(list(mapping.actions)),
        }
        if own.propensities:
            columns["propensities"] = _list(raw, own.propensities, mapping, where)
        for name, column in (("iteration_id", own.iteration_id), ("fallback", own.fallback), ("subject", own.subject)):
            if column:
                columns[name] = _column(raw, column, where)
        columns |= {f"numeric_{name}": _column(raw, column, where) for name, column in own.numeric.items()}
        columns |= {f"category_{name}": _text(raw, column, where) for name, column in own.category.items()}
        frames["decisions"] = raw.select(*system, *(value.alias(name) for name, value in columns.items()))
    if mapping.outcomes is not None:
        told = mapping.outcomes
        columns = {
            "event_id": _text(raw, told.event_id, where),
            "observed_at": _time(raw, told.observed_at, mapping, where),
            "reward": _reward(raw, told.reward, mapping, where),
        }
        if told.revision:
            columns["revision"] = _column(raw, told.revision, where)
        reported = raw.filter(pl.col(told.reward).is_not_null())
        frames["outcomes"] = reported.select(*system, *(value.alias(name) for name, value in columns.items()))
    return frames


def _column(raw: pl.DataFrame, name: str, where: str) -> pl.Expr:
    if name not in raw.columns:
        raise UsageError(f"{where}: no column {name!r}, which the mapping names.{did_you_mean(name, raw.columns)}")
    return pl.col(name)


def _text(raw: pl.DataFrame, name: str, where: str) -> pl.Expr:
    return _column(raw, name, where).cast(pl.String)


def _list(raw: pl.DataFrame, name: str, mapping: Mapping, where: str) -> pl.Expr:
    value = _column(raw, name, where)
    if isinstance(raw.schema[name], pl.List):
        return value
    parts = value.cast(pl.String).str.strip_chars("[]").str.split(mapping.separator)
    return parts.list.eval(pl.element().str.strip_chars(" '\"")).list.join(LIST_SEPARATOR)


def _time(raw: pl.DataFrame, name: str, mapping: Mapping, where: str) -> pl.Expr:
    value = _column(raw, name, where)
    if mapping.time_zone is None:
        return value
    if raw.schema[name] == pl.String:
        value = value.str.to_datetime(time_unit="us", strict=False)
    return value.dt.replace_time_zone(mapping.time_zone, ambiguous="earliest", non_existent="null")


def _reward(raw: pl.DataFrame, name: str, mapping: Mapping, where: str) -> pl.Expr:
    value = _column(raw, name, where)
    if not mapping.rewards:
        return value
    # A word that the mapping does not know stays as it is, and is refused as one that is no number.
    return value.cast(pl.String).replace({word: str(worth) for word, worth in mapping.rewards.items()})
