"""What chance brings: returns are not demand, and nothing is on its way that could not have been ordered."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.inventory.demand_law import DemandLaw
from models.inventory.layout import layout_of
from models.inventory.observation import observe
from models.inventory.policies.base_stock import BaseStockParams, BaseStockPolicy
from models.inventory.problem import problem_from_demand
from models.inventory.rollout import rollout
from models.inventory.scenarios import drawn_scenarios, scenarios_from_demand
from quaestor.errors import UsageError
from tests.models.inventory.networks import gamma_scenarios, two_level


@pytest.mark.parametrize("value", [-1.0, -1e-9, np.nan, np.inf])
def test_what_is_not_demand_is_refused(value: float) -> None:
    layout = layout_of(two_level())
    demand = np.full((2, 3, 9), 4.0)
    demand[1, 2, 5] = value
    with pytest.raises(ValueError, match="demand must be finite and, where unmet demand is lost, 0 or more"):
        scenarios_from_demand(layout, demand, np.zeros((9, 0)), 3, seed=0)


def test_the_opening_stock_is_in_stores_and_within_their_lead_times() -> None:
    """Stores a, b, c wait 3, 2 and 3 periods at most; the pipeline holds the slots after the one due now."""
    layout = layout_of(two_level())
    scenarios = gamma_scenarios(layout, batch=400, periods=2, history=16, seed=3)
    warehouses, stores = scenarios.on_hand[:, :2], scenarios.on_hand[:, 2:]
    assert not warehouses.any()
    assert not scenarios.in_transit[:, :2].any()
    assert (stores > 0).all()
    filled = (scenarios.in_transit[:, 2:] > 0).all(dim=0)
    assert filled.tolist() == [[True, True, False], [True, False, False], [True, True, False]]
    assert not scenarios.in_transit[:, 3, 1:].any()


def test_opening_slots_are_uniform_up_to_mean_known_demand() -> None:
    layout = layout_of(two_level())
    scenarios = gamma_scenarios(layout, batch=4000, periods=5, history=16, seed=3)
    share = scenarios.on_hand[:, 2:] / scenarios.demand[:, :, :16].mean(dim=2)
    assert float(share.max()) <= 1.0
    assert float(share.mean()) == pytest.approx(0.5, abs=4 * (1 / 12 / share.numel()) ** 0.5)


def test_the_opening_stock_does_not_read_the_future() -> None:
    layout = layout_of(two_level())
    demand = np.random.default_rng(0).gamma(4.0, 1.5, (5, 3, 20))
    changed = demand.copy()
    changed[:, :, 8:] *= 100.0
    one, other = (scenarios_from_demand(layout, d, np.zeros((20, 0)), 8, seed=2) for d in (demand, changed))
    assert torch.equal(one.on_hand, other.on_hand)
    assert torch.equal(one.in_transit, other.in_transit)


def test_an_observation_holds_the_past_and_nothing_else() -> None:
    layout = layout_of(two_level())
    scenarios = gamma_scenarios(layout, batch=2, periods=6, history=4, seed=1)
    for period in range(6):
        seen = observe(scenarios, scenarios.start, period, 4, None)
        assert torch.equal(seen.past_demand, scenarios.demand[:, :, period : period + 4])
        assert torch.equal(seen.calendar, scenarios.calendar[4 + period].expand(2, 1))


def test_a_policy_that_looks_further_back_than_the_records_is_refused() -> None:
    layout = layout_of(two_level())
    scenarios = gamma_scenarios(layout, batch=2, periods=6, history=4, seed=1)
    policy = BaseStockPolicy(BaseStockParams(window=5), layout, 6.0)
    with pytest.raises(UsageError, match="the last 5 demands, but only 4 are known"):
        rollout(layout, policy, scenarios)


def test_a_problem_cuts_its_windows_by_period_and_scales_by_training_demand() -> None:
    network = two_level()
    demand = np.random.default_rng(0).gamma(4.0, 1.5, (5, 3, 40))
    calendar = np.arange(40.0)[:, None]
    problem = problem_from_demand(
        network, layout_of(network), demand, calendar, ((0, 20), (12, 30), (22, 40)), history=8, seed=0
    )
    assert [part.periods for part in (problem.train, problem.dev, problem.test)] == [12, 10, 10]
    assert problem.test.calendar[problem.test.history :, 0].tolist() == list(range(30, 40))
    torch.testing.assert_close(problem.test.demand, torch.tensor(demand[:, :, 22:40], dtype=torch.float32))
    means = demand[:, :, :20].mean(axis=2)
    expected = np.column_stack(
        (
            means[:, 0] + means[:, 1] / 2,
            means[:, 1] / 2 + means[:, 2] / 2,
            means,
        )
    )
    np.testing.assert_allclose(problem.scale.numpy(), expected, rtol=1e-5)


def test_shuffled_periods_are_the_same_periods_in_other_orders_with_stores_together() -> None:
    layout = layout_of(two_level())
    scenarios = drawn_scenarios(layout, DemandLaw("poisson", (4.0,) * layout.stores), 3, 9, 4, seed=3)
    found = scenarios.shuffled(2, seed=1)
    assert (found.periods, found.history) == (2 * 13 - 4, 4)
    assert torch.equal(found.on_hand, scenarios.on_hand)

    def sorted_periods(demand: torch.Tensor) -> list[list[list[float]]]:
        return [sorted(one.T.tolist()) for one in demand]

    laps = found.demand.split(13, dim=2)
    for lap in laps:
        assert sorted_periods(lap) == sorted_periods(scenarios.demand)
        assert not torch.equal(lap, scenarios.demand)
    assert not torch.equal(*laps)
    assert torch.equal(found.demand, scenarios.shuffled(2, seed=1).demand)
    assert not torch.equal(found.demand, scenarios.shuffled(2, seed=2).demand)


def test_periods_that_a_calendar_names_are_not_shuffled() -> None:
    layout = layout_of(two_level())
    demand = np.full((2, layout.stores, 9), 4.0)
    scenarios = scenarios_from_demand(layout, demand, np.zeros((9, 1)), 3, seed=0)
    with pytest.raises(UsageError, match=r"set hdpo\.shuffles to 0"):
        scenarios.shuffled(1, seed=0)
