"""Turns what drifted into frames: features, failures and demand of the recent days against those before."""

from __future__ import annotations

import polars as pl

from app.queries.feedback import Drift
from app.style import STATUS_SIGNS, Status
from quaestor.alerts.drift import Moments, mean_shift
from quaestor.alerts.limits import Limits

FEATURES_DRAWN = 40
PERIODS_DRAWN = 260
REACH = 1.96
FAILURES = "failures (share of closed rounds)"


def features(drift: Drift) -> pl.DataFrame:
    """Each feature's stability index, the furthest moved first: feature, index, by_chance, unseen, word."""
    limits = Limits()
    rows = []
    for each in drift.features.shifts if drift.features else ():
        moved = each.shift.beyond(limits.feature_shift or 0.0)
        strange = each.unseen > (limits.unseen_share or 0.0)
        word = Status.STOP if strange else Status.WATCH if moved else Status.OK
        rows.append((each.feature, each.shift.size, each.shift.by_chance, each.unseen, str(word)))
    schema = {
        "feature": pl.String, "index": pl.Float64, "by_chance": pl.Float64, "unseen": pl.Float64, "word": pl.String,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row").sort("unseen", "index", descending=True)


def levels(drift: Drift) -> pl.DataFrame:
    """Failures and demand before and now: what, before, now, moved by, chance stays within, borne, how it stands."""
    limits, rows = Limits(), []
    found = drift.failures
    if found is not None and found.before is None:
        rows.append((FAILURES, "too short to compare", _share(found.after), "—", "—", "—", _sign(None)))
    elif found is not None and found.before is not None:
        borne, shift = limits.negative_rate or 0.0, mean_shift(found.before, found.after, limits.error_rate)
        figures = (f"{-shift.size:+.2%}", f"{shift.by_chance:.2%}", f"{borne:.1%}", _sign(shift.beyond(borne)))
        rows.append((FAILURES, _share(found.before), _share(found.after), *figures))
    if drift.level is not None:
        (shift, periods), borne = drift.level, limits.demand_shift or 0.0
        name = f"demand (last {limits.demand_periods} periods against the {periods} before)"
        figures = (f"{shift.size:+.0%}", f"{shift.by_chance:.0%}", f"{borne:.0%}", _sign(shift.beyond(borne)))
        rows.append((name, "100%", f"{1 + shift.size:.0%}", *figures))
    names = ("what", "before", "now", "moved by", "chance stays within", "borne", "how it stands")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def demand(drift: Drift) -> pl.DataFrame:
    """Demand by period with the window it belongs to: period, units, window (earlier, reference, newest)."""
    limits = Limits()
    drawn = drift.demand.tail(PERIODS_DRAWN)
    recent, reference = limits.demand_periods, limits.demand_reference
    from_end = pl.int_range(pl.len(), 0, -1)
    window = (
        pl.when(from_end <= recent).then(pl.lit("newest")).when(from_end <= recent + reference)
        .then(pl.lit("reference")).otherwise(pl.lit("earlier"))
    )  # fmt: skip
    return drawn.with_columns(window=window).select("period", "units", "window")


def told(drift: Drift) -> str:
    """Which windows are compared, in words."""
    if drift.decided is None:
        return "No decision has arrived of this system: features and failures cannot be compared."
    limits, until = Limits(), drift.decided.until
    parts = [
        f"The {limits.days:g} days up to {until:%Y-%m-%d %H:%M} UTC against the {limits.reference_days:g} before them"
    ]
    if drift.features is not None:
        parts.append(f"features on {drift.features.sampled}")
    else:
        parts.append("too little arrived in either for features to be compared")
    return "; ".join(parts) + "."


def _share(moments: Moments) -> str:
    reach = REACH * _error(moments)
    failed = 1 - moments.mean
    return f"{failed:.2%} ({failed - reach:.2%} to {failed + reach:.2%}) of {moments.count:,}"


def _error(moments: Moments) -> float:
    return (moments.variance / moments.count) ** 0.5 if moments.count else 0.0


def _sign(beyond: bool | None) -> str:
    status = Status.WAITING if beyond is None else Status.WATCH if beyond else Status.OK
    return f"{STATUS_SIGNS[status]} {status}"
