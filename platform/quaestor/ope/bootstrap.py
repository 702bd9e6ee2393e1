"""Bootstrap intervals: over rounds, and over blocks of time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from quaestor.ope.contributions import Contributions
from quaestor.ope.interval import Interval, check_confidence
from quaestor.randomness import generator

GROUPS = 5_000
"""More rounds than this are dealt in turn to so many groups, and groups are drawn again instead of rounds: the same
spread to a relative 1/√(2·5,000) = 1 %, without 1,000 passes over the rounds."""


def bootstrap_interval(
    contributions: Contributions, confidence: float = 0.95, replicates: int = 1000, seed: int = 0
) -> Interval:
    """The bootstrap-t interval: quantiles of each replicate's own t (Efron and Tibshirani 1993, section 12.5).

    It follows the skewness that heavy weights give and the normal interval does not see. Replicates draw the
    influence of rounds with replacement, all at once; self-normalised estimators are taken to first order.
    """
    check_confidence(confidence)
    influence = contributions.influence
    n = len(influence)
    if n < 2 or replicates < 100:
        raise ValueError(f"a bootstrap needs 2 or more rounds and 100 or more replicates, found {n} and {replicates}.")
    groups = min(n, GROUPS)
    sums, squares, sizes = _dealt(influence, groups)
    drawn_groups = generator(seed, "bootstrap over rounds").integers(0, groups, (replicates, groups))
    drawn = _counts(drawn_groups, groups) @ np.column_stack([sums, squares, sizes])
    mean = drawn[:, 0] / drawn[:, 2]
    spread = np.sqrt(np.maximum(drawn[:, 1] / drawn[:, 2] - np.square(mean), 0.0) / drawn[:, 2])
    error = float(np.sqrt(influence @ influence / n / n))
    if error == 0.0:
        return Interval(contributions.value, contributions.value, contributions.value, confidence, "bootstrap-t")
    # A replicate without spread says nothing of t; the sample's own error stands in.
    t = mean / np.where(spread > 0, spread, error)
    low, high = np.quantile(t, [(1 - confidence) / 2, (1 + confidence) / 2])
    value = contributions.value
    return Interval(value, value - float(high) * error, value - float(low) * error, confidence, "bootstrap-t")


def block_bootstrap_interval(
    differences: NDArray[np.float64],
    confidence: float = 0.95,
    block: int | None = None,
    replicates: int = 2000,
    seed: int = 0,
) -> Interval:
    """The mean of paired differences (series, period) that depend on each other over time and share their periods.

    Replicates draw series with replacement and, independently, circular blocks of consecutive periods (Politis
    and Romano 1992), the same for all series, since what happens in a week happens to all of them; both at once
    never makes the spread too small (Owen 2007, "The pigeonhole bootstrap"). block: periods in one, ∛periods
    rounded up by default. The interval is value ± t·s with as many degrees of freedom as there are whole blocks,
    or series, less one, whichever is fewer.
    """
    check_confidence(confidence)
    if differences.ndim != 2 or min(differences.shape) < 2:
        raise ValueError(f"differences must be (series, period) with 2 or more of each, found {differences.shape}.")
    series, periods = differences.shape
    length = block or int(np.ceil(periods ** (1 / 3)))
    if not 1 <= length <= periods // 2:
        raise ValueError(f"a block must be 1 to {periods // 2} of {periods} periods, found {length}.")
    draw = generator(seed, "block bootstrap")
    blocks = -(-periods // length)
    starts = draw.integers(0, periods, (replicates, blocks))
    at = (starts[:, :, None] + np.arange(length)).reshape(replicates, -1)[:, :periods] % periods
    in_time = _counts(at, periods)
    of_series = _counts(draw.integers(0, series, (replicates, series)), series)
    means = np.einsum("bs,sp,bp->b", of_series, differences, in_time, optimize=True) / (series * periods)
    value = float(differences.mean())
    freedom = min(periods // length, series) - 1
    reach = float(stdtrit(max(freedom, 1), 0.5 + confidence / 2)) * float(means.std(ddof=1))
    return Interval(value, value - reach, value + reach, confidence, "block bootstrap")


def _counts(drawn: NDArray[np.int64], kinds: int) -> NDArray[np.float64]:
    """How often each of `kinds` was drawn, (replicate, kind), out of (replicate, draw)."""
    own = drawn + kinds * np.arange(len(drawn))[:, None]
    return np.bincount(own.ravel(), minlength=kinds * len(drawn)).reshape(-1, kinds).astype(np.float64)


def _dealt(
    influence: NDArray[np.float64], groups: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sums, sums of squares and sizes of groups that rounds are dealt to in turn, (group,) each."""
    whole = len(influence) // groups * groups
    dealt, rest = influence[:whole].reshape(-1, groups), influence[whole:]
    sums, squares = dealt.sum(axis=0), np.einsum("rg,rg->g", dealt, dealt)
    sizes = np.full(groups, float(len(dealt)))
    sums[: len(rest)] += rest
    squares[: len(rest)] += np.square(rest)
    sizes[: len(rest)] += 1
    return sums, squares, sizes
