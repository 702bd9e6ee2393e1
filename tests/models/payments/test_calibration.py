"""Calibration tells predictions that mean what they say from those that do not, for each action."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.payments.calibration import calibration
from tests.rounds import bandit


def test_the_truth_is_calibrated_and_its_square_is_not() -> None:
    """Over 20,000 rounds: the Brier score of the truth is its variance, within 4 standard errors of it."""
    found = bandit(20_000, 0)
    honest, bent = (calibration(found.batch, predicted) for predicted in (found.truth, np.square(found.truth)))
    taken = found.truth[np.arange(20_000), found.batch.logged.action]
    assert honest.brier == pytest.approx(float((taken * (1 - taken)).mean()), abs=4 * 0.2 / np.sqrt(20_000))
    assert honest.brier < bent.brier
    assert honest.ece < 0.02 < bent.ece
    for action in found.batch.logged.actions:
        assert honest.brier_by_action[action] < bent.brier_by_action[action]
        assert honest.ece_by_action[action] < bent.ece_by_action[action]
    rounds = np.bincount(found.batch.logged.action)
    parts = [honest.brier_by_action[action] for action in found.batch.logged.actions]
    assert float(np.average(parts, weights=rounds)) == pytest.approx(honest.brier)


def test_an_action_with_few_rounds_is_not_judged() -> None:
    batch = bandit(200, 1).batch
    few = batch.rows(np.flatnonzero((batch.logged.action != 0) | (np.cumsum(batch.logged.action == 0) <= 5)))
    found = calibration(replace(few), np.full((len(few), 4), 0.5))
    assert "a0" not in found.ece_by_action
    assert "a0" not in found.brier_by_action
