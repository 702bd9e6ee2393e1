"""Alarms about drift: failures, features and demand of the recent days against the days before them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.alerts import drift
from quaestor.alerts.alarm import Alarm
from quaestor.alerts.limits import Limits
from quaestor.log.maturity import MaturityParams
from quaestor.store import Connection, iterations, windows
from quaestor.store.windows import Windows

ROWS = 50_000
"""Rounds whose features are compared; of more, a sample is."""
BINS = 10
LEVELS = 30
"""Of a category that are told apart; the others count as one."""
_SEASONS: dict[float, tuple[int, int | None]] = {1.0: (364, 7), 7.0: (52, None), 30.4: (12, None)}
"""By the days of a period: periods to a year, in whole weeks so that weekdays agree, and to a week of days."""
FEWEST = 200
"""Rounds that either window needs before features are compared."""


@dataclass(frozen=True)
class Failures:
    """The rewards of closed rounds in the reference and in the recent days, and the recent share of rounds that had no
    outcome in time; before is None where the reference is too short."""

    before: drift.Moments | None
    after: drift.Moments
    defaulted_share: float
    default_reward: float


@dataclass(frozen=True)
class FeatureShift:
    """How far a feature moved, and the share of recent rounds in levels that the reference never had."""

    feature: str
    shift: drift.Shift
    unseen: float


@dataclass(frozen=True)
class FeatureShifts:
    """Every feature of a system; compared: rounds, of so many."""

    shifts: tuple[FeatureShift, ...]
    compared: int
    rounds: int

    @property
    def sampled(self) -> str:
        """On how many rounds they were compared, in words."""
        return (
            f"{self.compared:,} of {self.rounds:,} rounds" if self.compared < self.rounds else f"{self.rounds:,} rounds"
        )


def outcomes(connection: Connection, system: str, limits: Limits, now: datetime) -> Iterator[Alarm]:
    """Failures that became more or fewer, and rounds without an outcome in time, among rounds that have closed."""
    if limits.negative_rate is None and limits.defaulted_share is None:
        return
    found = failures(connection, system, limits, now)
    if found is None:
        return
    if limits.defaulted_share is not None and found.defaulted_share > limits.defaulted_share:
        yield Alarm(
            "missing outcomes",
            system,
            "outcomes",
            "watch",
            f"{system}: {found.defaulted_share:.1%} of the {found.after.count:,} rounds closed in the last "
            f"{limits.days:g} days had no outcome in time and count as {found.default_reward:g}; at most "
            f"{limits.defaulted_share:.1%} is borne.",
        )
    before, after = found.before, found.after
    if limits.negative_rate is None or before is None:
        return
    if drift.mean_shift(before, after, limits.error_rate).beyond(limits.negative_rate):
        yield Alarm(
            "negative rate",
            system,
            "failures",
            "stop",
            f"{system}: failures went from {1 - before.mean:.1%} of {before.count:,} rounds to {1 - after.mean:.1%} of "
            f"{after.count:,} in the last {limits.days:g} days (limit {limits.negative_rate:.1%} either way).",
        )


def failures(connection: Connection, system: str, limits: Limits, now: datetime) -> Failures | None:
    """The rewards of closed rounds before and now; None where no iteration says how long outcomes may take, or no
    round has closed lately."""
    maturity = declared_maturity(connection, system)
    if maturity is None:
        return None
    until = windows.newest_decision(connection, system, now - timedelta(hours=maturity.attribution_hours))
    if until is None:
        return None
    wanted = Windows.before(until, limits.days, limits.reference_days)
    found = windows.rewards(connection, system, wanted, maturity.attribution_hours, maturity.default_reward)
    by_window = {row["recent"]: row for row in found.iter_rows(named=True)}
    if True not in by_window:
        return None
    moments = {recent: drift.Moments(row["rounds"], row["mean"], row["variance"]) for recent, row in by_window.items()}
    covered = windows.is_covered(connection, system, wanted)
    return Failures(
        moments.get(False) if covered else None,
        moments[True],
        by_window[True]["defaulted_share"],
        maturity.default_reward,
    )


def features(connection: Connection, system: str, limits: Limits, now: datetime) -> Iterator[Alarm]:
    """Features whose distribution moved, and categories with levels never seen before."""
    if limits.feature_shift is None and limits.unseen_share is None:
        return
    found = feature_shifts(connection, system, limits, now)
    if found is None:
        return
    for each in found.shifts:
        if limits.unseen_share is not None and each.unseen > limits.unseen_share:
            yield Alarm(
                "features",
                system,
                each.feature,
                "stop",
                f"{system}: {each.unseen:.0%} of the rounds of the last {limits.days:g} days have a {each.feature} "
                f"that was never seen in the {limits.reference_days:g} days before ({found.sampled}): was something "
                "renamed?",
            )
        elif limits.feature_shift is not None and each.shift.beyond(limits.feature_shift):
            yield Alarm(
                "features",
                system,
                each.feature,
                "watch",
                f"{system}: {each.feature} has moved: its population stability index is {each.shift.size:.2f} (limit "
                f"{limits.feature_shift:g}, chance alone stays below {each.shift.by_chance:.3f}; {found.sampled}).",
            )


def feature_shifts(connection: Connection, system: str, limits: Limits, now: datetime) -> FeatureShifts | None:
    """How far every feature moved; None where either window holds too little to compare."""
    until = windows.newest_decision(connection, system, now)
    if until is None:
        return None
    wanted = Windows.before(until, limits.days, limits.reference_days)
    if not windows.is_covered(connection, system, wanted):
        return None
    frame, total = windows.contexts(connection, system, wanted, ROWS)
    recent = frame["recent"].to_numpy().astype(np.bool_)
    if min(recent.sum(), (~recent).sum()) < FEWEST:
        return None
    names = [name for name in frame.columns if name.startswith(("numeric_", "category_"))]
    shifts = []
    for name in names:
        before, after, strange = (numeric if name.startswith("numeric_") else category)(frame[name], recent)
        shift = drift.stability_index(before, after, limits.error_rate / len(names))
        shifts.append(FeatureShift(name.partition("_")[2], shift, strange))
    return FeatureShifts(tuple(shifts), len(frame), total)


def demand(connection: Connection, system: str, limits: Limits) -> Iterator[Alarm]:
    """Demand that rose or fell."""
    if limits.demand_shift is None:
        return
    found = demand_shift(connection, system, limits)
    if found is None:
        return
    shift, reference = found
    if shift.beyond(limits.demand_shift):
        yield Alarm(
            "demand",
            system,
            "units",
            "watch",
            f"{system}: demand of the last {limits.demand_periods} periods is {shift.size:+.0%} from the "
            f"{reference} before (limit {limits.demand_shift:.0%} either way; chance alone "
            f"stays within {shift.by_chance:.0%}).",
        )


def demand_shift(connection: Connection, system: str, limits: Limits) -> tuple[drift.Shift, int] | None:
    """How far the newest periods' demand lies from that of the periods before them, and how many those are.

    Where there is a year before them, each period is taken as a share of the same one then; without, days are taken
    as shares of what is usual on their day of the week. What comes back every year or week is no shift.
    """
    frame, recent = windows.demand_totals(connection, system), limits.demand_periods
    last = unseasonal(frame, recent, limits.demand_reference)[-(recent + limits.demand_reference) :]
    if len(last) <= recent:
        return None
    return drift.level_shift(last, recent, limits.error_rate), len(last) - recent


def unseasonal(totals: pl.DataFrame, recent: int, reference: int) -> NDArray[np.float64]:
    """Totals by period (period, starts_on, units) without the season, as far as the record is long enough to know it:
    for records by the day, week or month; any others stay as they are."""
    period, units = totals["period"].to_numpy().astype(np.int64), totals["units"].to_numpy().astype(np.float64)
    days = totals["starts_on"].drop_nulls().diff().dt.total_days().median()
    for length, (year, week) in _SEASONS.items():
        if days is None or abs(float(days) - length) > length / 20:  # type: ignore[arg-type]
            continue
        found = drift.against_last_year(period, units, year, recent)
        if found is None and week is not None:
            newest = slice(-(recent + reference), None)
            found = drift.without_cycle(period[newest], units[newest], week, recent)
        return units if found is None else found
    return units


def declared_maturity(connection: Connection, system: str) -> MaturityParams | None:
    """How long outcomes of a system may take, as its newest iteration that learnt from rounds was told."""
    for manifest in iterations.listing(connection, system)["manifest"].reverse():
        data = json.loads(manifest)["data"]
        if "attribution_hours" in data and "default_reward" in data:
            return MaturityParams(float(data["attribution_hours"]), float(data["default_reward"]))
    return None


def numeric(values: pl.Series, recent: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], float]:
    """Counts (bin,) of both windows by the deciles of the reference, missing ones in a bin of their own; nothing of a
    number is never seen before."""
    numbers = values.fill_null(np.nan).to_numpy()
    known = numbers[~recent & ~np.isnan(numbers)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.zeros(0)
    bins = np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers, side="left"))
    before, after = (np.bincount(bins[part], minlength=len(edges) + 2) for part in (~recent, recent))
    return before, after, 0.0


def category(values: pl.Series, recent: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], float]:
    """Counts (level,) of both windows, and the share of the recent rounds in levels that the reference lacks; levels
    beyond the most frequent count as one, and so do those that one window lacks."""
    codes = values.fill_null("\x00").cast(pl.Categorical).to_physical().to_numpy()
    levels = int(codes.max()) + 1
    before, after = (np.bincount(codes[part], minlength=levels) for part in (~recent, recent))
    strange = drift.unseen(before, after)
    order = np.argsort(-(before + after), kind="stable")
    kept, rest = order[:LEVELS], order[LEVELS:]
    return (*(np.append(counts[kept], counts[rest].sum()) for counts in (before, after)), strange)  # type: ignore[return-value]
