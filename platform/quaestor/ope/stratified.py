"""An estimator within strata, such as merchants or action sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import LoggedBatch
from quaestor.ope.contributions import Contributions
from quaestor.ope.protocol import Estimator
from quaestor.ope.target_rounds import TargetRounds


@dataclass(frozen=True)
class Stratified:
    """V = Σ_s (n_s/n) V_s, an estimate of its own in each stratum s (Cochran 1977, "Sampling techniques", chapter 5).

    strata (round,): the stratum of each round, as numbers from 0. Strata are taken as drawn with the rounds, so
    that a round's influence is its influence within the stratum plus V_s − V. A self-normalised estimator is
    normalised within each stratum, which needs a few rounds with weight in every one of them.
    """

    estimator: Estimator
    strata: NDArray[np.int64]

    def __call__(self, rounds: TargetRounds) -> Contributions:
        """Raises ValueError when there is not one stratum a round."""
        if len(self.strata) != len(rounds):
            raise ValueError(
                f"strata must name one stratum for each of {len(rounds)} rounds, found {len(self.strata)}."
            )
        order = np.argsort(self.strata, kind="stable")
        edges = np.flatnonzero(np.diff(self.strata[order])) + 1
        influence = np.empty(len(rounds))
        linear = True
        for part in np.split(order, edges):
            within = self.estimator(rounds.rows(part))
            influence[part] = within.influence + within.value
            linear &= within.linear
        value = float(influence.mean())
        return Contributions(value, influence - value, linear)


def strata_of_feature(logged: LoggedBatch, feature: str) -> NDArray[np.int64]:
    """The strata that a category feature (category_…) makes, (round,); rounds without it share one.

    Raises ValueError for a feature that the log does not have.
    """
    name = f"category_{feature.removeprefix('category_')}"
    if name not in logged.context.columns:
        raise ValueError(f"the log has no category feature {feature!r} to stratify by.")
    return logged.context[name].rank("dense").fill_null(0).to_numpy().astype(np.int64)


def strata_of_action_set(logged: LoggedBatch) -> NDArray[np.int64]:
    """The strata that the sets of eligible actions make, (round,)."""
    packed = np.packbits(logged.eligible, axis=1)
    _, codes = np.unique(packed, axis=0, return_inverse=True)
    return codes.astype(np.int64).reshape(-1)
