"""Self-normalised inverse propensity scoring."""

from __future__ import annotations

from quaestor.ope.contributions import Contributions
from quaestor.ope.target_rounds import TargetRounds


def snips(rounds: TargetRounds) -> Contributions:
    """V = Σwr / Σw, with influence w(r − V) / mean w (Swaminathan and Joachims 2015, equation 8).

    Raises ValueError when no round has weight.
    """
    total = rounds.weight.sum()
    if not total > 0:
        raise ValueError("the log has no round with an action that the target policy would take.")
    value = float(rounds.weight @ rounds.reward / total)
    return Contributions(value, rounds.weight * (rounds.reward - value) / (total / len(rounds)))
