"""Drift is told where there is some, and chance alone raises no alarm more often than it was allowed to."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from quaestor.alerts import drift
from quaestor.alerts.drift import Moments
from quaestor.alerts.drifting import category, numeric, unseasonal

TRIES = 2000
ERROR = 0.02
AT_MOST = ERROR + 3 * (ERROR * (1 - ERROR) / TRIES) ** 0.5
"""A share of false alarms beyond this happens by chance in about one suite in a thousand."""


def moments(values: np.ndarray) -> Moments:
    return Moments(len(values), float(values.mean()), float(values.var(ddof=1)))


@pytest.mark.slow
def test_chance_alone_moves_a_mean_as_rarely_as_allowed() -> None:
    draw = np.random.default_rng(0)
    false = [
        drift.mean_shift(
            moments((draw.random(800) < 0.2).astype(float)), moments((draw.random(200) < 0.2).astype(float)), ERROR
        ).beyond(0.0)
        for _ in range(TRIES)
    ]
    assert np.mean(false) <= AT_MOST


@pytest.mark.slow
@pytest.mark.parametrize("bins", [2, 5, 20])
def test_chance_alone_moves_the_stability_index_as_rarely_as_allowed(bins: int) -> None:
    draw = np.random.default_rng(bins)
    shares = draw.dirichlet(np.full(bins, 20.0))
    false = [
        drift.stability_index(draw.multinomial(3000, shares), draw.multinomial(800, shares), ERROR).beyond(0.0)
        for _ in range(TRIES)
    ]
    assert np.mean(false) <= 1.5 * AT_MOST  # its law is that of many rounds


@pytest.mark.slow
@pytest.mark.parametrize("follows", [0.0, 0.5])
def test_chance_alone_moves_demand_seldom_though_weeks_follow_each_other(follows: float) -> None:
    draw = np.random.default_rng(7)
    false = []
    for _ in range(TRIES):
        shocks, weeks = draw.normal(0, 10, 60), np.zeros(60)
        for week in range(1, 60):
            weeks[week] = follows * weeks[week - 1] + shocks[week]
        false.append(drift.level_shift(100 + weeks[30:], 4, ERROR).beyond(0.0))
    assert np.mean(false) <= 3 * AT_MOST  # ρ is itself estimated, from 26 weeks


def seasonal(draw: np.random.Generator, every: int, periods: int) -> pl.DataFrame:
    """Quiet demand with a strong year (up to four times its trough) and, by the day, a strong week."""
    period = np.arange(periods)
    year = 1 + 0.6 * np.sin(2 * np.pi * period * every / 364)
    week = 1 + 0.5 * (period % 7 >= 5) if every == 1 else 1.0
    starts = [date(2023, 1, 2) + timedelta(days=every * int(each)) for each in period]
    units = draw.poisson(400 * year * week).astype(float)
    return pl.DataFrame({"period": period, "starts_on": starts, "units": units})


@pytest.mark.slow
@pytest.mark.parametrize(("every", "periods", "recent"), [(7, 120, 4), (1, 500, 7), (1, 40, 7)])
def test_what_comes_back_every_year_or_week_is_no_shift(every: int, periods: int, recent: int) -> None:
    """At the trough, at the peak and between; without a year of record the weeks alone are known."""
    draw = np.random.default_rng(11)
    false, seen = [], []
    for _ in range(TRIES // 4):
        length = periods + (int(draw.integers(0, 364 // every)) if periods * every > 364 else 0)
        frame = seasonal(draw, every, length)
        quiet = unseasonal(frame, recent, 26)[-(recent + 26) :]
        false.append(drift.level_shift(quiet, recent, ERROR).beyond(0.25))
        factor = pl.when(pl.col("period") >= length - recent).then(1.6).otherwise(1.0)
        risen = frame.with_columns(pl.col("units") * factor)
        seen.append(drift.level_shift(unseasonal(risen, recent, 26)[-(recent + 26) :], recent, ERROR).beyond(0.25))
    assert np.mean(false) <= AT_MOST
    assert np.mean(seen) >= 0.99


def test_the_season_is_taken_only_from_a_record_that_is_long_enough() -> None:
    frame = seasonal(np.random.default_rng(0), 7, 40)
    assert unseasonal(frame, 4, 26).tolist() == frame["units"].to_list()
    undated = frame.with_columns(starts_on=pl.lit(None, dtype=pl.Date))
    assert unseasonal(undated, 4, 26).tolist() == frame["units"].to_list()


def test_the_stability_index_is_that_of_the_books() -> None:
    """Siddiqi, Credit Risk Scorecards (2006): Σ (q − p) ln(q/p); here 0.5/0.5 against 0.6/0.4."""
    found = drift.stability_index(np.array([500_000, 500_000]), np.array([600_000, 400_000]), 0.01)
    assert found.size == pytest.approx(0.1 * np.log(1.2) - 0.1 * np.log(0.8), rel=1e-4)


def test_a_shift_that_matters_is_seen_and_one_that_does_not_is_borne() -> None:
    before, after = Moments(50_000, 0.80, 0.16), Moments(10_000, 0.72, 0.20)
    assert drift.mean_shift(before, after, 1e-4).beyond(0.05)
    assert not drift.mean_shift(before, after, 1e-4).beyond(0.10)
    assert not drift.mean_shift(before, Moments(20, 0.60, 0.24), 1e-4).beyond(0.05)
    assert drift.level_shift(np.array([100.0, 101, 99, 100, 102, 98, 100, 99, 150, 152]), 2, 1e-4).beyond(0.25)


def test_too_little_is_never_a_shift() -> None:
    assert not drift.mean_shift(Moments(1, 0.0, 0.0), Moments(500, 1.0, 0.0), 0.5).beyond(0.0)
    assert not drift.stability_index(np.zeros(3, dtype=np.int64), np.array([5, 0, 0]), 0.5).beyond(0.0)
    assert not drift.level_shift(np.array([1.0, 2.0, 9.0]), 1, 0.5).beyond(0.0)


def test_levels_that_were_never_seen_are_a_share_of_the_recent_rounds() -> None:
    recent = np.array([False] * 6 + [True] * 4)
    before, after, strange = category(pl.Series([*"aabbcc", "a", "z", "z", None]), recent)
    assert strange == 0.75
    assert (before.sum(), after.sum()) == (6, 4)


def test_missing_numbers_have_a_bin_of_their_own() -> None:
    recent = np.array([False] * 100 + [True] * 100)
    values = pl.Series([float(k) for k in range(100)] + [None] * 50 + [float(k) for k in range(50)])
    before, after, _ = numeric(values, recent)
    assert (before[-1], after[-1]) == (0, 50)
    assert drift.stability_index(before, after, 1e-4).beyond(0.25)
