"""The logging balance: quiet on honest logs at its stated rate, and loud where another version served."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quaestor.ope.balance import balance_check
from tests.rounds import bandit


def test_honest_logs_stop_no_oftener_than_stated() -> None:
    """At p = 0.01, Bonferroni: of 400 honest logs 4 are watched on average, 12 with probability under 0.001."""
    found = [balance_check(bandit(400, seed).batch.logged).status for seed in range(400)]
    assert sum(status != "ok" for status in found) <= 12
    assert sum(status == "stop" for status in found) <= 4


def test_an_action_taken_more_often_than_logged_stops() -> None:
    logged = bandit(20_000, 3).batch.logged
    draw = np.random.default_rng(0)
    swapped = np.where((draw.random(len(logged)) < 0.05) & logged.eligible[:, 0], 0, logged.action)
    assert logged.probabilities is not None
    served = replace(
        logged, action=swapped, propensity=np.maximum(logged.probabilities[np.arange(len(logged)), swapped], 1e-6)
    )
    found = balance_check(served)
    assert found.status == "stop"
    assert "a0 was taken" in found.sentence
