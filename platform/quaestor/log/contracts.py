"""Data contracts: what a row of decisions, outcomes, demand or orders must be before it may enter the store."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from quaestor.log.columns import NUMERIC_PREFIX, Kind
from quaestor.log.lists import with_list_facts


@dataclass(frozen=True)
class Checked:
    """A file's rows, parted. `good` may enter, decisions with eligible_set, the same number for equal lists of eligible
    actions; `bad` has row_number, code, reason, system and content (JSON)."""

    good: pl.DataFrame
    bad: pl.DataFrame


def check(kind: Kind, frame: pl.DataFrame, raw: pl.DataFrame) -> Checked:
    """Parts the rows of a typed frame by its contract; every bad row carries the first rule it breaks.

    `raw` holds the same rows as they came from the file: that is what quarantine keeps.
    """
    rules = _RULES[kind]
    numbered = (with_list_facts(frame) if kind == "decisions" else frame).with_row_index("row_number")
    holds = numbered.select(pl.all_horizontal(rule.holds.fill_null(False) for rule in rules)).to_series()
    good = numbered if holds.all() else numbered.filter(holds)
    failed = numbered.filter(~holds)
    broken = pl.coalesce(
        pl.when(~rule.holds.fill_null(False)).then(pl.struct(code=pl.lit(rule.code), reason=_reason(rule)))
        for rule in rules
    )
    as_it_came = raw[failed["row_number"]].select(
        pl.struct(_as_text(name, dtype) for name, dtype in raw.schema.items()).struct.json_encode()
    )
    bad = failed.select("row_number", broken.alias("broken"), pl.col("system").fill_null("")).unnest("broken")
    facts = ("eligible_set",) if kind == "decisions" else ()
    return Checked(
        good.select("row_number", *(name for name in frame.columns if name != "unreadable"), *facts),
        bad.with_columns(as_it_came.to_series().alias("content")),
    )


@dataclass(frozen=True)
class _Rule:
    """A rule on a row: its code, what to tell the user, the expression that is true where it holds, and the
    column whose value belongs in the message."""

    code: str
    sentence: str
    holds: pl.Expr
    column: str | None


def _probability(value: pl.Expr) -> pl.Expr:
    return value.is_not_nan() & (value >= 0) & (value <= 1)


_READABLE = _Rule(
    "unreadable",
    "every value must be of its column's type",
    pl.col("unreadable").is_null(),
    "unreadable",
)
_SYSTEM = _Rule("no_system", "system must not be empty", pl.col("system").str.len_chars() > 0, "system")
_EVENT = _Rule("no_event_id", "event_id must not be empty", pl.col("event_id").str.len_chars() > 0, "event_id")

_propensity = pl.col("propensity")
_ITERATION, _UNITS, _PLACES = pl.col("iteration_id"), pl.col("units"), ("sources", "targets", "units")

_RULES: dict[Kind, tuple[_Rule, ...]] = {
    "decisions": (
        _READABLE,
        _SYSTEM,
        _EVENT,
        _Rule("no_time", "decided_at must not be empty", pl.col("decided_at").is_not_null(), "decided_at"),
        _Rule(
            "bad_propensity",
            "propensity must be above 0 and at most 1, the probability with which the action was taken",
            _probability(_propensity) & (_propensity > 0),
            "propensity",
        ),
        _Rule(
            "bad_eligible",
            "eligible must name at least one action, each once",
            pl.col("distinct_eligible"),
            "eligible",
        ),
        _Rule(
            "not_eligible",
            "the action taken must be in the eligible set it was chosen from",
            pl.col("position") >= 0,
            "action",
        ),
        _Rule(
            "bad_propensities",
            "propensities must hold one probability for each eligible action, sum to 1 and agree with propensity",
            pl.col("matching_propensities"),
            "propensities",
        ),
        _Rule(
            "bad_feature",
            "a numeric feature must be finite, or empty where it is unknown",
            pl.all_horizontal(pl.lit(True), pl.col(f"^{NUMERIC_PREFIX}.*$").is_infinite().fill_null(False).not_()),
            None,
        ),
    ),
    "outcomes": (
        _READABLE,
        _SYSTEM,
        _EVENT,
        _Rule("no_time", "observed_at must not be empty", pl.col("observed_at").is_not_null(), "observed_at"),
        _Rule("bad_reward", "reward must be between 0 and 1", _probability(pl.col("reward")), "reward"),
        _Rule("bad_revision", "revision must be 0 or more", pl.col("revision").fill_null(0) >= 0, "revision"),
    ),
    "demand": (
        _READABLE,
        _SYSTEM,
        _Rule("no_product", "product must not be empty", pl.col("product").str.len_chars() > 0, "product"),
        _Rule("no_store", "store must not be empty", pl.col("store").str.len_chars() > 0, "store"),
        _Rule("bad_period", "period must be a whole number, 0 or more", pl.col("period") >= 0, "period"),
        _Rule("bad_units", "units must be a finite number", pl.col("units").is_finite(), "units"),
    ),
    "orders": (
        _READABLE,
        _SYSTEM,
        _Rule("no_product", "product must not be empty", pl.col("product").str.len_chars() > 0, "product"),
        _Rule("bad_period", "period must be a whole number, 0 or more", pl.col("period") >= 0, "period"),
        _Rule("no_time", "decided_at must not be empty", pl.col("decided_at").is_not_null(), "decided_at"),
        _Rule("no_iteration", "iteration_id must say what ordered", _ITERATION.str.len_chars() > 0, "iteration_id"),
        _Rule(
            "bad_edges",
            "sources and targets must name the two places of each order, and units hold one number for each",
            (_UNITS.list.len() > 0)
            & (pl.col("sources").list.len() == _UNITS.list.len())
            & (pl.col("targets").list.len() == _UNITS.list.len())
            & ~pl.any_horizontal(pl.col(name).list.eval(pl.element().is_null()).list.any() for name in _PLACES),
            None,
        ),
        _Rule(
            "bad_units",
            "units must be finite numbers, 0 or more",
            _UNITS.list.eval(pl.element().is_finite() & (pl.element() >= 0)).list.all(),
            None,
        ),
    ),
}

_LISTS = ("eligible", "propensities")


def _reason(rule: _Rule) -> pl.Expr:
    """The sentence of a rule, ending with the value that was found."""
    if rule.column is None:
        return pl.lit(f"{rule.sentence}.")
    if rule is _READABLE:
        return pl.format("{}: {}.", pl.lit(rule.sentence), pl.col("unreadable"))
    found = pl.col(rule.column)
    if rule.column in _LISTS:
        found = pl.format("[{}]", found.cast(pl.List(pl.String)).list.join(", "))
    return pl.format("{}, found {}.", pl.lit(rule.sentence), found.cast(pl.String).fill_null("nothing"))


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    return pl.col(name).cast(pl.List(pl.String) if isinstance(dtype, pl.List) else pl.String, strict=False)
