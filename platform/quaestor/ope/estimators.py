"""The family of estimators, by name."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import MaturedBatch
from quaestor.ope.contributions import Contributions
from quaestor.ope.dr import dr
from quaestor.ope.ips import ips
from quaestor.ope.snips import snips


class Estimator(Protocol):
    """Estimates the value of a target policy from matured rounds."""

    def __call__(
        self, batch: MaturedBatch, target: NDArray[np.float64], predicted: NDArray[np.float64] | None = None
    ) -> Contributions:
        """target and predicted (round, action): the policy's probabilities and predicted rewards, if any."""


ESTIMATORS: dict[str, Estimator] = {"ips": ips, "snips": snips, "dr": dr}
