"""The doubly robust estimator."""

from __future__ import annotations

from quaestor.ope.contributions import Contributions, from_terms
from quaestor.ope.target_rounds import TargetRounds


def dr(rounds: TargetRounds) -> Contributions:
    """V = mean of Σ_a π(a|x) q(x,a) + w·(r − q(x,a taken)) (Dudík, Langford and Li 2011, equation 2).

    Unbiased where logged propensities are right, whatever q, if q was fitted on other rounds (`cross_fitted`).
    Raises ValueError without predicted rewards.
    """
    expected, taken = rounds.model("the doubly robust estimator")
    return from_terms(expected + rounds.weight * (rounds.reward - taken))
