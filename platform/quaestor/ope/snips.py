"""Self-normalised inverse propensity scoring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quaestor.ope.contributions import Contributions
from quaestor.ope.target_rounds import TargetRounds


def snips(rounds: TargetRounds) -> Contributions:
    """V = Σwr / Σw (Swaminathan and Joachims 2015, equation 8).

    A round's influence is what V would lose without it (the jackknife), which to first order is w(r − V) / mean w.
    Raises ValueError when no round has weight.
    """
    total = rounds.weight.sum()
    if not total > 0:
        raise ValueError("the log has no round with an action that the target policy would take.")
    value = float(rounds.weight @ rounds.reward / total)
    return Contributions(value, ratio_influence(rounds.weight, rounds.reward - value))


def ratio_influence(weight: NDArray[np.float64], residual: NDArray[np.float64]) -> NDArray[np.float64]:
    """The influence (round,) on a weighted mean, of residuals from it: w·residual / mean of the others' weight."""
    total = float(weight.sum())
    # One round with more than half of all weight has no jackknife to speak of, and no gate rests on it.
    others = np.maximum(total - weight, total / 2)
    influence = len(weight) * weight * residual / others
    return np.asarray(influence - influence.mean())
