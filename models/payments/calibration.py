"""Whether predicted rewards mean what they say, overall and for each action."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import MaturedBatch

BINS = 10


@dataclass(frozen=True)
class Calibration:
    """brier: mean squared error of predictions, overall and by action. ece: expected calibration error, likewise
    (Naeini, Cooper and Hauskrecht 2015), over ten bins of equal size. curve: (mean prediction, mean reward) of each
    bin."""

    brier: float
    brier_by_action: dict[str, float]
    ece: float
    ece_by_action: dict[str, float]
    curve: tuple[tuple[float, float], ...]

    def as_json(self) -> dict[str, Any]:
        """The calibration as plain values."""
        return asdict(self)


def calibration(batch: MaturedBatch, predicted: NDArray[np.float64]) -> Calibration:
    """Compares predicted (round, action) with the rewards of the actions taken, on rounds held out from fitting."""
    taken = predicted[np.arange(len(batch)), batch.logged.action]
    curve = _curve(taken, batch.reward)
    squares, by_action = {}, {}
    for number, name in enumerate(batch.logged.actions):
        rounds = batch.logged.action == number
        if rounds.sum() >= BINS:
            squares[name] = float(np.square(taken[rounds] - batch.reward[rounds]).mean())
            by_action[name] = _error(taken[rounds], batch.reward[rounds])
    return Calibration(
        brier=float(np.square(taken - batch.reward).mean()),
        brier_by_action=squares,
        ece=_error(taken, batch.reward),
        ece_by_action=by_action,
        curve=tuple((float(p), float(r)) for p, r, _ in curve),
    )


def _error(predicted: NDArray[np.float64], reward: NDArray[np.float64]) -> float:
    return float(sum(abs(p - r) * share for p, r, share in _curve(predicted, reward)))


def _curve(predicted: NDArray[np.float64], reward: NDArray[np.float64]) -> list[tuple[np.float64, np.float64, float]]:
    parts = np.array_split(np.argsort(predicted, kind="stable"), BINS)
    return [(predicted[part].mean(), reward[part].mean(), len(part) / len(reward)) for part in parts if len(part)]
