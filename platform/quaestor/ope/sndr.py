"""The self-normalised doubly robust estimator."""

from __future__ import annotations

from quaestor.ope.contributions import Contributions
from quaestor.ope.snips import ratio_influence
from quaestor.ope.target_rounds import TargetRounds


def sndr(rounds: TargetRounds) -> Contributions:
    """V = mean of Σ_a π(a|x) q(x,a) + Σ w(r − q(x,a taken)) / Σw (Thomas and Brunskill 2016, section 4).

    Raises ValueError without predicted rewards or when no round has weight.
    """
    expected, taken = rounds.model("the self-normalised doubly robust estimator")
    total = rounds.weight.sum()
    if not total > 0:
        raise ValueError("the log has no round with an action that the target policy would take.")
    residual = rounds.reward - taken
    correction = float(rounds.weight @ residual / total)
    modelled = float(expected.mean())
    influence = expected - modelled + ratio_influence(rounds.weight, residual - correction)
    return Contributions(modelled + correction, influence)
