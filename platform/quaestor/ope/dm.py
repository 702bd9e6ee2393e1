"""The direct method."""

from __future__ import annotations

from quaestor.ope.contributions import Contributions, from_terms
from quaestor.ope.target_rounds import TargetRounds


def dm(rounds: TargetRounds) -> Contributions:
    """V = mean of Σ_a π(a|x) q(x,a) (Beygelzimer and Langford 2009, section 2).

    As wrong as its reward model: its influence knows of the contexts drawn, and nothing of the error in q. Raises
    ValueError without predicted rewards.
    """
    expected, _ = rounds.model("the direct method")
    return from_terms(expected)
