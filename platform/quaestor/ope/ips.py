"""Inverse propensity scoring."""

from __future__ import annotations

from quaestor.ope.contributions import Contributions, from_terms
from quaestor.ope.target_rounds import TargetRounds


def ips(rounds: TargetRounds) -> Contributions:
    """V = mean of w·r, unbiased where logged propensities are right (Horvitz and Thompson 1952)."""
    return from_terms(rounds.weight * rounds.reward)
