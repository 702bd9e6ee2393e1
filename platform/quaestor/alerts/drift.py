"""The arithmetic of drift: each comparison asks for a shift that matters and for one that chance does not explain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

SMOOTHED = 0.5
"""Added to each count, so that an empty bin is rare and not impossible."""


FEWEST = 8
"""Periods of the reference that a year before must tell something of."""


@dataclass(frozen=True)
class Shift:
    """How far a figure moved, and beyond which shift chance alone would not go at the wanted error rate."""

    size: float
    by_chance: float

    def beyond(self, limit: float) -> bool:
        """Whether it moved by more than is borne, and by more than chance explains."""
        return abs(self.size) > limit and abs(self.size) > self.by_chance


@dataclass(frozen=True)
class Moments:
    """Count, mean and variance of some values."""

    count: int
    mean: float
    variance: float


def mean_shift(reference: Moments, recent: Moments, error_rate: float) -> Shift:
    """The difference of two means (recent − reference) against its standard error, two-sided (Welch 1947).

    Where either has fewer than two values, chance explains everything.
    """
    if min(reference.count, recent.count) < 2:
        return Shift(0.0, np.inf)
    parts = [each.variance / each.count for each in (reference, recent)]
    spread = sum(parts)
    if spread == 0:
        return Shift(recent.mean - reference.mean, 0.0)
    degrees = spread**2 / sum(
        part**2 / (each.count - 1) for part, each in zip(parts, (reference, recent), strict=True) if part
    )
    reach = float(stats.t.isf(error_rate / 2, degrees) * np.sqrt(spread))
    return Shift(recent.mean - reference.mean, reach)


def stability_index(reference: NDArray[np.int64], recent: NDArray[np.int64], error_rate: float) -> Shift:
    """The population stability index of counts (bin,) and the largest that chance would show.

    Σ (q − p) ln(q/p) over the bins' shares. With unchanged shares it is (1/n + 1/m) times a χ² of one degree less
    than there are bins (Yurdakul and Naranjo 2020, Journal of Risk Model Validation 14(4), theorem 1).
    """
    used = (reference + recent) > 0
    before, now = reference[used].astype(np.float64), recent[used].astype(np.float64)
    if len(before) < 2 or min(before.sum(), now.sum()) < 1:
        return Shift(0.0, np.inf)
    p, q = ((counts + SMOOTHED) / (counts.sum() + SMOOTHED * len(counts)) for counts in (before, now))
    index = float(((q - p) * np.log(q / p)).sum())
    chance = float((1 / before.sum() + 1 / now.sum()) * stats.chi2.isf(error_rate, len(before) - 1))
    return Shift(index, chance)


def unseen(reference: NDArray[np.int64], recent: NDArray[np.int64]) -> float:
    """The share of the recent counts (level,) in levels that the reference never had."""
    total = int(recent.sum())
    return float(recent[reference == 0].sum() / total) if total and reference.sum() else 0.0


def against_last_year(
    period: NDArray[np.int64], totals: NDArray[np.float64], year: int, recent: int
) -> NDArray[np.float64] | None:
    """Totals (period,) as shares of those `year` periods before, where there were any: what comes back every year moves
    none of them. None where the last `recent` periods, or too few before them, have such a period."""
    before = dict(zip(period.tolist(), totals.tolist(), strict=True))
    then = np.array([before.get(each - year, 0.0) for each in period.tolist()])
    known = then > 0
    if not known[-recent:].all() or known.sum() < recent + FEWEST:
        return None
    shares: NDArray[np.float64] = totals[known] / then[known]
    return shares


def without_cycle(
    period: NDArray[np.int64], totals: NDArray[np.float64], cycle: int, recent: int
) -> NDArray[np.float64] | None:
    """Totals (period,) over what is usual at their place in a short cycle such as a week, as the periods before the
    last `recent` tell it. None where any place has fewer than two of them, or nothing."""
    place = period % cycle
    before = np.arange(len(period)) < len(period) - recent
    counts = np.bincount(place[before], minlength=cycle)
    if counts.min() < 2:
        return None
    usual = np.bincount(place[before], totals[before], minlength=cycle) / counts
    if usual.min() <= 0:
        return None
    level: NDArray[np.float64] = totals / usual[place]
    return level


def level_shift(totals: NDArray[np.float64], recent: int, error_rate: float) -> Shift:
    """How far the mean of the last `recent` totals (period,) lies from the mean of those before, as a share of it.

    The standard error allows for totals that follow each other: it is widened by the lag-one autocorrelation ρ of the
    reference, (1 + ρ)/(1 − ρ) (Bayley and Hammersley 1946), and never narrowed.
    """
    before, now = totals[:-recent], totals[-recent:]
    if len(before) < 4 or before.mean() <= 0:
        return Shift(0.0, np.inf)
    away = before - before.mean()
    power = float((away**2).sum())
    follows = float(np.clip((away[1:] * away[:-1]).sum() / power, 0.0, 0.9)) if power else 0.0
    variance = power / (len(before) - 1) * (1 + follows) / (1 - follows)
    degrees = max(2.0, len(before) * (1 - follows) / (1 + follows) - 1)
    reach = stats.t.isf(error_rate / 2, degrees) * np.sqrt(variance * (1 / len(before) + 1 / len(now)))
    return Shift(float(now.mean() / before.mean() - 1), float(reach / before.mean()))
