"""Whether logged propensities say how the log was drawn (rules R4, R5 and R12)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import LoggedBatch
from quaestor.ope.diagnosis import Diagnosis

CALIBRATION_ERRORS = 4.0
FEWEST = 20
"""An action taken or expected less often says nothing of its propensities."""
REDERIVED_WITHIN = 1e-9
_BINS = 10


@dataclass(frozen=True)
class ActionCalibration:
    """For each action, (action,): how often it was taken, how often its propensities say it should have been, and
    the standard error of the difference; infinite where there is too little to tell."""

    taken: NDArray[np.float64]
    expected: NDArray[np.float64]
    error: NDArray[np.float64]

    @property
    def errors_away(self) -> NDArray[np.float64]:
        """The difference in standard errors, (action,)."""
        return (self.taken - self.expected) / self.error


def action_calibration(logged: LoggedBatch) -> ActionCalibration:
    """Compares how often actions were taken with their propensities (rule R12).

    With the probabilities of every action: counts against their sums. With those of the action taken alone:
    Σ 1[a]/p against the rounds in which it was eligible, both scaled to counts.
    """
    count = np.bincount(logged.action, minlength=len(logged.actions)).astype(np.float64)
    if logged.probabilities is not None:
        expected = logged.probabilities.sum(axis=0)
        variance = (logged.probabilities * (1 - logged.probabilities)).sum(axis=0)
        known = expected >= FEWEST
        return ActionCalibration(count, expected, np.where(known & (variance > 0), np.sqrt(variance), np.inf))
    inverse = 1 / logged.propensity
    total = np.bincount(logged.action, inverse, len(logged.actions))
    variance = np.bincount(logged.action, inverse * (inverse - 1), len(logged.actions))
    share = count / np.maximum(logged.eligible.sum(axis=0), 1)
    known = (count >= FEWEST) & (variance > 0)
    return ActionCalibration(
        total * share, logged.eligible.sum(axis=0) * share, np.where(known, np.sqrt(variance) * share, np.inf)
    )


def calibration_check(logged: LoggedBatch) -> Diagnosis:
    """Whether every action was taken as often as its propensities say, within 4 standard errors."""
    found = action_calibration(logged)
    away = np.abs(found.errors_away)
    worst = int(away.argmax())
    if away[worst] > CALIBRATION_ERRORS:
        return Diagnosis(
            "propensity calibration",
            "stop",
            f"Propensities do not describe the log: {logged.actions[worst]} stands {away[worst]:.1f} standard errors "
            f"from how often they say it was taken ({CALIBRATION_ERRORS:g} are allowed).",
        )
    binned = _binned(logged)
    if binned > CALIBRATION_ERRORS:
        return Diagnosis(
            "propensity calibration",
            "stop",
            f"Propensities do not describe the log: actions of similar propensity were taken {binned:.1f} standard "
            f"errors more or less often than it says ({CALIBRATION_ERRORS:g} are allowed).",
        )
    sentence = f"Every action was taken as often as its propensities say, within {away[worst]:.1f} standard errors."
    return Diagnosis("propensity calibration", "ok", sentence)


def rounding_check(logged: LoggedBatch) -> Diagnosis:
    """Whether propensities were rounded: many different ones, all on a coarse decimal grid (rule R4)."""
    values = np.unique(logged.propensity)
    for decimals in (1, 2, 3, 4):
        steps = values * 10**decimals
        if len(values) > 4 * decimals and (np.abs(steps - steps.round()) < 1e-7).all():
            return Diagnosis(
                "rounded propensities",
                "stop" if decimals < 4 else "watch",
                f"All {len(values):,} different propensities have {decimals} decimals or fewer: they look rounded. "
                "Log them in full precision.",
            )
    return Diagnosis("rounded propensities", "ok", "Propensities are in full precision.")


def exploration_check(logged: LoggedBatch) -> Diagnosis:
    """Whether the log explored at all: one whose every choice was certain says nothing of other policies."""
    chosen = logged.propensity[logged.eligible.sum(axis=1) > 1]
    certain = float((chosen >= 1 - 1e-12).mean()) if len(chosen) else 1.0
    if certain == 1.0:
        return Diagnosis(
            "exploration",
            "stop",
            "The log never explored: every propensity is 1, so that it says nothing of any other policy. Log with "
            "exploration first.",
        )
    if certain > 0.5:
        return Diagnosis(
            "exploration",
            "watch",
            f"In {certain:.0%} of rounds with a choice the action was certain; they teach little.",
        )
    return Diagnosis("exploration", "ok", f"{1 - certain:.0%} of rounds with a choice left it to chance.")


def estimation_check(logged: LoggedBatch) -> Diagnosis:
    """Whether propensities were logged at all."""
    if logged.estimated:
        return Diagnosis(
            "estimated propensities",
            "stop",
            "Propensities were not logged but estimated afterwards, and what the log's policy knew beyond the features "
            "biases every estimate. Only an override, which is audited, can promote on them.",
        )
    return Diagnosis("estimated propensities", "ok", "Propensities were logged when the decisions were made.")


def rederivation_check(
    logged: LoggedBatch, rounds: NDArray[np.bool_], derived: NDArray[np.float64], iteration_id: str
) -> Diagnosis:
    """Whether the iteration that rounds (round,) name gives their logged propensities (rule R5).

    derived (round where true, action): the probabilities that the iteration gives those rounds now.
    """
    action = logged.action[rounds]
    away = np.abs(derived[np.arange(len(action)), action] - logged.propensity[rounds])
    wrong = float((away > REDERIVED_WITHIN).mean())
    name = f"re-derived propensities of {iteration_id[:12]}"
    if wrong > 0:
        return Diagnosis(
            name,
            "stop",
            f"In {wrong:.1%} of the rounds that name iteration {iteration_id[:12]} it would have given another "
            f"propensity (by up to {away.max():.2g}): another version served them, or features changed since.",
        )
    return Diagnosis(name, "ok", f"Iteration {iteration_id[:12]} gives the propensities of its {len(action):,} rounds.")


def _binned(logged: LoggedBatch) -> float:
    """The furthest that a bin of (round, action) pairs of similar probability is from it, in standard errors."""
    if logged.probabilities is None:
        return 0.0
    pairs = logged.eligible & (logged.probabilities > 0)
    probability = logged.probabilities[pairs]
    taken = np.zeros(logged.eligible.shape)
    taken[np.arange(len(logged)), logged.action] = 1.0
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, _BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, probability, side="right")
    variance = np.bincount(bins, probability * (1 - probability))
    away = np.abs(np.bincount(bins, taken[pairs] - probability))
    known = (np.bincount(bins, probability) >= FEWEST) & (variance > 0)
    return float((away[known] / np.sqrt(variance[known])).max(initial=0.0))
