"""Intervals for means of bounded terms that hold for any number of rounds."""

from __future__ import annotations

import numpy as np

from quaestor.ope.contributions import Contributions
from quaestor.ope.interval import Interval, check_confidence


def bernstein_interval(contributions: Contributions, low: float, high: float, confidence: float = 0.95) -> Interval:
    """value ± (√(2s²L/n) + 7(high − low)L/(3(n − 1))), L = log(4/α) (Maurer and Pontil 2009, theorem 4).

    Every term lies in [low, high], which was known before the sample, such as 0 and 1/least propensity for IPS.
    No limit theorem is needed. Raises ValueError where a term lies outside, or the estimate is no mean of terms.
    """
    check_confidence(confidence)
    terms = contributions.terms
    n = len(terms)
    if n < 2:
        raise ValueError(f"an interval needs 2 or more rounds, found {n}.")
    tolerance = 1e-9 * (high - low)
    if terms.min() < low - tolerance or terms.max() > high + tolerance:
        raise ValueError(
            f"terms must lie in [{low:g}, {high:g}], found {terms.min():g} to {terms.max():g}; give the range that "
            "the propensities allow."
        )
    log_term = float(np.log(4 / (1 - confidence)))
    reach = float(np.sqrt(2 * terms.var(ddof=1) * log_term / n)) + 7 * (high - low) * log_term / (3 * (n - 1))
    value = contributions.value
    return Interval(value, value - reach, value + reach, confidence, "empirical Bernstein")
