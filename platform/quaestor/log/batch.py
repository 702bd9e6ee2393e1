"""Logged rounds as arrays; only matured ones, with their reward, are accepted by learners and estimators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

ESTIMATED = "estimated propensities"
"""How the name of a logging policy begins where its propensities were estimated afterwards."""


@dataclass(frozen=True)
class LoggedBatch:
    """Rounds as they were decided.

    event_ids (round,) and decided_at (round,) in UTC. context: one row a round, a column a feature, numeric_…
    or category_…. eligible (round, action): who could be chosen, with actions named by `actions`. action
    (round,): the number of the action taken. propensity (round,): its probability, in (0, 1].
    iteration_ids (round,): the policy that decided, null where unknown. probabilities (round, action): of every
    action, where the log holds them for all rounds. estimated: propensities were not logged but estimated
    afterwards, and nothing that rests on them is promoted by itself.
    """

    system: str
    actions: tuple[str, ...]
    event_ids: pl.Series
    decided_at: pl.Series
    context: pl.DataFrame
    eligible: NDArray[np.bool_]
    action: NDArray[np.int64]
    propensity: NDArray[np.float64]
    iteration_ids: pl.Series
    probabilities: NDArray[np.float64] | None = None
    estimated: bool = False

    def __post_init__(self) -> None:
        rounds = np.arange(len(self))
        if not ((self.propensity > 0) & (self.propensity <= 1)).all():
            raise ValueError("every propensity must be above 0 and at most 1.")
        if not self.eligible[rounds, self.action].all():
            raise ValueError("every action taken must be eligible.")
        if self.probabilities is not None and self.probabilities.shape != self.eligible.shape:
            raise ValueError(f"probabilities must be {self.eligible.shape} (round, action).")

    def __len__(self) -> int:
        return len(self.action)

    def rows(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> LoggedBatch:
        """The rounds at these positions, or where the mask is true, in this order."""
        where = np.flatnonzero(index) if index.dtype == np.bool_ else index
        return LoggedBatch(
            self.system,
            self.actions,
            self.event_ids[where],
            self.decided_at[where],
            self.context[where],
            self.eligible[where],
            self.action[where],
            self.propensity[where],
            self.iteration_ids[where],
            None if self.probabilities is None else self.probabilities[where],
            self.estimated,
        )


@dataclass(frozen=True)
class MaturedBatch:
    """Rounds whose attribution window has closed.

    reward (round,) in [0, 1]; defaulted (round,): no outcome came, so the reward is the declared default.
    """

    logged: LoggedBatch
    reward: NDArray[np.float64]
    defaulted: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if len(self.reward) != len(self.logged) or len(self.defaulted) != len(self.logged):
            raise ValueError("a matured batch needs one reward and one default flag a round.")
        if not ((self.reward >= 0) & (self.reward <= 1)).all():
            raise ValueError("every reward must be between 0 and 1.")

    def __len__(self) -> int:
        return len(self.logged)

    def rows(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> MaturedBatch:
        """The rounds at these positions, or where the mask is true, in this order."""
        return MaturedBatch(self.logged.rows(index), self.reward[index], self.defaulted[index])
