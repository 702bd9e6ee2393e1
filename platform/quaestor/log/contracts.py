"""Data contracts: what a row of decisions, outcomes or demand must be before it may enter the store."""

from __future__ import annotations

from dataclasses import dataclass

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

from quaestor.log.columns import NUMERIC_PREFIX, Kind


@dataclass(frozen=True)
class Checked:
    """A file's rows, parted. `good` may enter; `bad` has row_number, code, reason, system and content (JSON)."""

    good: pl.DataFrame
    bad: pl.DataFrame


def check(kind: Kind, frame: pl.DataFrame, raw: pl.DataFrame) -> Checked:
    """Parts the rows of a typed frame by its contract; every bad row carries the first rule it breaks.

    `raw` holds the same rows as they came from the file: that is what quarantine keeps.
    """
    frame = _with_position(frame) if kind == "decisions" else frame
    try:
        _SCHEMAS[kind].validate(frame, lazy=True)
        failed = pl.DataFrame(schema={"row_number": pl.UInt32, "code": pl.String, "sentence": pl.String})
    except SchemaErrors as errors:
        failed = _first_rule_broken(errors)
    numbered = frame.with_row_index("row_number")
    good = numbered.join(failed, on="row_number", how="anti").drop("unreadable")
    failed = failed.sort("row_number")
    as_it_came = raw[failed["row_number"]].select(
        pl.struct(_as_text(name, dtype) for name, dtype in raw.schema.items()).struct.json_encode()
    )
    bad = (
        failed.join(numbered, on="row_number", how="left", maintain_order="left")
        .with_columns(reason=pl.concat_str("sentence", _found(kind)), system=pl.col("system").fill_null(""))
        .with_columns(as_it_came.to_series().alias("content"))
    )
    return Checked(good, bad.select("row_number", "code", "reason", "system", "content"))


@dataclass(frozen=True)
class _Rule:
    """A rule on a row: its code, what to tell the user, the expression that is true where it holds, and the
    column whose value belongs in the message."""

    code: str
    sentence: str
    holds: pl.Expr
    column: str | None

    def check(self) -> pa.Check:
        return pa.Check(
            lambda data: data.lazyframe.select(self.holds.fill_null(False)),
            error=f"{self.code}: {self.sentence}",
        )


def _probability(value: pl.Expr) -> pl.Expr:
    return value.is_not_nan() & (value >= 0) & (value <= 1)


_READABLE = _Rule(
    "unreadable",
    "every value must be of its column's type",
    pl.col("unreadable").list.len() == 0,
    "unreadable",
)
_SYSTEM = _Rule("no_system", "system must not be empty", pl.col("system").str.len_chars() > 0, "system")
_EVENT = _Rule("no_event_id", "event_id must not be empty", pl.col("event_id").str.len_chars() > 0, "event_id")

_propensity = pl.col("propensity")
_propensities = pl.col("propensities")
_eligible = pl.col("eligible")

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
            (_eligible.list.len() > 0)
            & (_eligible.list.n_unique() == _eligible.list.len())
            & _eligible.list.eval(pl.element().fill_null("") != "").list.all(),
            "eligible",
        ),
        _Rule(
            "not_eligible",
            "the action taken must be in the eligible set it was chosen from",
            pl.col("position").is_not_null(),
            "action",
        ),
        _Rule(
            "bad_propensities",
            "propensities must hold one probability for each eligible action, sum to 1 and agree with propensity",
            _propensities.is_null()
            | (
                (_propensities.list.len() == _eligible.list.len())
                & _propensities.list.eval(_probability(pl.element()).fill_null(False)).list.all()
                & ((_propensities.list.sum() - 1).abs() <= 1e-6)
                & ((_propensities.list.get(pl.col("position"), null_on_oob=True) - _propensity).abs() <= 1e-9)
            ),
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
}

_SCHEMAS = {kind: pa.DataFrameSchema(checks=[rule.check() for rule in rules]) for kind, rules in _RULES.items()}


def _found(kind: Kind) -> pl.Expr:
    """The end of a reason: the value that was found."""
    text = pl.lit(".")
    for rule in _RULES[kind]:
        if rule.column is None:
            continue
        if rule.column == "unreadable":
            value = pl.lit(": ") + pl.col("unreadable").list.first()
        else:
            shown = pl.col(rule.column)
            shown = (
                pl.format("[{}]", shown.cast(pl.List(pl.String)).list.join(", "))
                if rule.column in _LISTS
                else shown.cast(pl.String)
            )
            value = pl.lit(", found ") + shown.fill_null("nothing")
        text = pl.when(pl.col("code") == rule.code).then(value + ".").otherwise(text)
    return text


_LISTS = ("eligible", "propensities")


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    return pl.col(name).cast(pl.List(pl.String) if isinstance(dtype, pl.List) else pl.String, strict=False)


def _first_rule_broken(errors: SchemaErrors) -> pl.DataFrame:
    parts = pl.col("check").str.splitn(": ", 2).struct
    cases: pl.DataFrame = errors.failure_cases
    return (
        cases.with_row_index("order")
        .sort("order")
        .group_by("index", maintain_order=True)
        .first()
        .select(
            row_number=pl.col("index").cast(pl.UInt32),
            code=parts.field("field_0"),
            sentence=parts.field("field_1"),
        )
    )


def _with_position(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds the place of the action taken in its eligible set, null where it is not there."""
    row = pl.int_range(pl.len())
    positions = (
        frame.select("eligible", "action", row=row)
        .explode("eligible")
        .with_columns(position=pl.int_range(pl.len()).over("row"))
        .filter(pl.col("eligible") == pl.col("action"))
        .group_by("row")
        .agg(pl.col("position").first())
    )
    return frame.with_columns(row=row).join(positions, on="row", how="left", maintain_order="left").drop("row")
