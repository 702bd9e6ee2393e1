"""Order policies on common demand: the same evaluation and gate as for logs."""

from __future__ import annotations

import numpy as np
import pytest

from quaestor.registry.gate import GateParams, Stage, gate
from quaestor.registry.played import evaluate_played

ENOUGH = GateParams(minimum_pairs=10)


def costs(gain: float, seed: int, weeks: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Costs (series, week) of two policies that share dear weeks; the candidate costs `gain` less."""
    draw = np.random.default_rng(seed)
    shared = 20 * draw.normal(size=weeks) + 50 * draw.normal(size=(12, 1)) + 200
    noise = 2 * draw.normal(size=weeks) + draw.normal(size=(12, weeks))
    return shared + noise - gain, shared


def judged(gain: float, seed: int) -> Stage:
    """The verdict on such policies."""
    new, old = costs(gain, seed)
    return gate(evaluate_played(new, old, {}, "incumbent", "cost", "weeks"), None, (), ENOUGH).stage


def test_a_cheaper_policy_is_seen_through_dear_weeks() -> None:
    """Pairing removes what all policies pay: a gain of 3 in 200 is clear although weeks differ by 20."""
    new, old = costs(3.0, 0)
    found = evaluate_played(new, old, {"twin": new}, "incumbent", "cost", "weeks")
    assert found.difference.method == "block bootstrap"
    assert found.difference.upper < 0 < found.gain[1]
    assert found.candidate.upper - found.candidate.lower > 10 * (found.difference.upper - found.difference.lower)
    assert found.others["to twin"].value == 0
    assert judged(3.0, 0) is Stage.PROMOTE
    assert judged(-3.0, 0) is Stage.REJECT


@pytest.mark.slow
def test_equal_policies_are_rarely_promoted() -> None:
    """A/A over 300 runs: a 95 % interval promotes 2.5 %; more than 18 happen with probability below 0.001."""
    assert sum(judged(0.0, seed) is Stage.PROMOTE for seed in range(300)) <= 18


def test_weeks_that_all_products_share_are_not_products_of_their_own() -> None:
    """Paired by product alone, the interval misses what a bad week does to all of them."""
    new, old = costs(0.0, 3)
    found = evaluate_played(new, old, {}, "incumbent", "cost", "weeks")
    alone = found.others["to the incumbent, paired by series alone"]
    assert alone.upper - alone.lower < (found.difference.upper - found.difference.lower) / 2


def test_few_periods_leave_the_series_as_the_sample() -> None:
    new, old = costs(3.0, 1, weeks=4)
    assert evaluate_played(new, old, {}, "incumbent", "cost", "weeks").difference.method == "normal"
    with pytest.raises(ValueError, match="same series"):
        evaluate_played(new, old[:, :3], {}, "incumbent", "cost", "weeks")
