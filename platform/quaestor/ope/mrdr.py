"""More robust doubly robust: a reward model fitted for the variance of the estimate, not for its own error."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from quaestor.ope.contributions import Contributions
from quaestor.ope.cross_fitting import RewardModel, cross_fitted
from quaestor.ope.dr import dr
from quaestor.ope.ridge import Ridge
from quaestor.ope.target_rounds import TargetRounds


@dataclass(frozen=True)
class MRDR:
    """DR whose q minimises Σ w²(1 − μ)(r − q)², μ the propensity (Farajtabar, Chow and Ghavamzadeh 2018, section 4.1).

    That is the variance of DR itself for a target policy that takes one action; for others the terms between
    actions are left out. model: the oracle, fitted on other folds than it predicts.
    """

    model: RewardModel = field(default_factory=Ridge)
    folds: int = 3

    def __call__(self, rounds: TargetRounds) -> Contributions:
        """Fits its own q; predictions that the rounds come with are not used."""
        batch = rounds.batch
        weight = np.square(rounds.weight) * (1 - batch.logged.propensity)
        if not weight.any():  # a log without chance has nothing to vary
            weight = np.ones(len(rounds))
        return dr(rounds.with_predictions(cross_fitted(batch, self.model, self.folds, weight)))
