"""A candidate beside its yardsticks: costs and paired differences are those of the evaluation."""

from __future__ import annotations

import numpy as np
import pytest

from quaestor.registry.comparison import comparison
from quaestor.registry.played import evaluate_played


@pytest.mark.parametrize("drawn", [False, True])
def test_costs_are_each_policys_own_and_differences_are_the_candidates_minus_them(drawn: bool) -> None:
    chance = np.random.default_rng(0)
    demand = chance.normal(10, 3, (40, 30))
    candidate, incumbent, classical = demand + 1, demand + 2 + chance.normal(0, 0.1, demand.shape), demand + 4
    evaluation = evaluate_played(
        candidate, incumbent, {"base stock": classical}, "x", "cost", "drawn periods", drawn=drawn
    )
    rows = {row.policy: row for row in comparison(evaluation, {"name": "optimum", "cost": 3.0, "exact": True})}
    assert set(rows) == {"candidate", "incumbent", "base stock", "optimum"}
    for name, costs in (("candidate", candidate), ("incumbent", incumbent), ("base stock", classical)):
        assert rows[name].cost == pytest.approx(costs.mean())
    against = rows["base stock"].difference
    assert against is not None
    assert against.value == pytest.approx(-3.0)
    assert rows["optimum"].difference is None


def test_drawn_series_are_independent_and_need_no_blocks() -> None:
    """A shock that all series share in a period widens the interval of recorded demand, and is not there in drawn."""
    chance = np.random.default_rng(1)
    costs = chance.normal(0, 1, (200, 40)) + chance.normal(0, 5, 40)
    recorded, drawn = (
        evaluate_played(costs, np.zeros_like(costs), {}, "x", "cost", "here", drawn=drawn).difference
        for drawn in (False, True)
    )
    assert recorded.upper - recorded.lower > 10 * (drawn.upper - drawn.lower)
