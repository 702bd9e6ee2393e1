"""A bound from exact binomial intervals at evenly spaced thresholds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from quaestor.certification.distortion import distort, mean_bounds

THRESHOLDS = 200
"""As in the original's experiments."""


def clopper_pearson(
    costs: NDArray[np.float64], cap: float, ratios: NDArray[np.float64], alpha: float
) -> NDArray[np.float64]:
    """An upper bound on the attacked mean cost for each λ, (ratio,), that fails with probability at most alpha.

    P(C > t) is bounded at 200 thresholds from 0 up, each at level α/200 (Bonferroni), and holds until the next
    threshold because survival only falls; the bounds hold for all λ simultaneously. costs (episode,) are
    independent and clipped to [0, cap].
    """
    levels = np.linspace(0.0, cap, THRESHOLDS + 1)
    ordered = np.sort(np.clip(costs, 0.0, cap))
    exceeding = len(ordered) - np.searchsorted(ordered, levels[:-1], side="right")
    return mean_bounds(levels, upper_probability(exceeding, len(ordered), alpha / THRESHOLDS), ratios)


def upper_probability(successes: NDArray[np.int64], trials: int, alpha: float) -> NDArray[np.float64]:
    """The one-sided Clopper–Pearson upper bound on a binomial probability at level alpha."""
    bound = beta.ppf(1 - alpha, successes + 1, trials - successes)
    return np.where(successes >= trials, 1.0, bound)


def beyond_cap(exceeding: int, episodes: int, ratios: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """An upper bound on the attacked probability of a cost above the cap for each λ, (ratio,), at level alpha.

    What E[min(C, cap)] says nothing about; `exceeding` of `episodes` independent episodes lay above the cap.
    """
    clean = upper_probability(np.array([exceeding]), episodes, alpha)
    return np.array([distort(clean, ratio)[0] for ratio in ratios])
