"""Known optima of one store, and that our simulator, playing the optimal policy, attains them.

Lost sales: relative value iteration over the full pipeline, Poisson(5), h = 1, the table of known optima for
one_store_lost (instances of Alvo et al., arXiv 2306.11246; method as in Zipkin 2008). Backlogged: the newsvendor over
L + 1 periods, N(5, 1.6) clipped at 0, h = 1, the table for one_store_backlogged.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from models.inventory.demand_law import DemandLaw
from models.inventory.hdpo import HDPOParams, mean_cost, train
from models.inventory.layout import Layout, layout_of
from models.inventory.policies.base_stock import BaseStockParams
from models.inventory.policies.build import build_policy
from models.inventory.policies.mlp import MLPParams
from models.inventory.rollout import OrderPolicy
from models.inventory.scenarios import Scenarios, drawn_scenarios
from models.inventory.yardsticks.backlogged import backlogged_optimum, base_stock_at
from models.inventory.yardsticks.order_table import OrderTablePolicy
from models.inventory.yardsticks.value_iteration import lost_sales_optimum, poisson_pmf
from tests.models.inventory.networks import one_store

LOST = {
    (1, 4): 4.0407, (1, 9): 5.4382, (1, 19): 6.6757, (1, 39): 7.8359,
    (2, 4): 4.3953, (2, 9): 6.0936, (2, 19): 7.6644, (2, 39): 9.1064,
    (4, 4): 4.7285, (4, 9): 6.8359,
}  # fmt: skip
BACKLOGGED = {
    (1, 4): 3.167, (1, 9): 3.970, (1, 19): 4.667, (1, 39): 5.289,
    (4, 4): 5.006, (4, 9): 6.277, (4, 19): 7.378, (4, 39): 8.362,
    (10, 4): 7.425, (10, 9): 9.309, (10, 19): 10.942, (10, 39): 12.402,
}  # fmt: skip
WARMUP = 50
SIGMAS = 4.0
"""Standard errors allowed between a simulated mean and the exact cost: about 1 seed in 16,000 would miss."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from a second thread and lose much on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def lost(layout: Layout, batch: int, periods: int, seed: int) -> Scenarios:
    return drawn_scenarios(layout, DemandLaw("poisson", (5.0,)), batch, periods, 0, seed)


def backlogged(layout: Layout, batch: int, periods: int, seed: int) -> Scenarios:
    return drawn_scenarios(layout, DemandLaw("normal", (5.0,), (1.6,)), batch, periods, 0, seed)


def simulated(layout: Layout, policy: OrderPolicy, scenarios: Scenarios) -> np.ndarray:
    """Mean cost a period of each scenario after the warm-up; scenarios are independent of each other."""
    return mean_cost(layout, policy, scenarios, WARMUP).double().numpy()


def error(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) / len(values) ** 0.5


@pytest.mark.parametrize(("lead_time", "underage"), LOST)
def test_the_optimum_with_lost_sales(lead_time: int, underage: int) -> None:
    optimum = lost_sales_optimum(poisson_pmf(5.0), lead_time, 1.0, float(underage))
    assert round(optimum.cost, 4) == LOST[lead_time, underage]


@pytest.mark.parametrize(("lead_time", "underage"), BACKLOGGED)
def test_the_optimum_with_backlogged_demand(lead_time: int, underage: int) -> None:
    """The page's figures are to three decimals; at L = 10, p = 4 the exact 7.42449 stands there as 7.425."""
    optimum = backlogged_optimum(5.0, 1.6, lead_time, 1.0, float(underage))
    assert optimum.cost == pytest.approx(BACKLOGGED[lead_time, underage], abs=0.00055)


@pytest.mark.parametrize(("lead_time", "underage"), [(1, 4), (1, 39), (2, 9), (4, 9)])
def test_the_simulator_attains_the_optimum_with_lost_sales(lead_time: int, underage: int) -> None:
    optimum = lost_sales_optimum(poisson_pmf(5.0), lead_time, 1.0, float(underage))
    layout = layout_of(one_store(lead_time, float(underage), "lost", whole_units=True))
    costs = simulated(layout, OrderTablePolicy(optimum), lost(layout, 3000, 250, seed=7))
    assert error(costs) < 0.003 * optimum.cost
    assert costs.mean() == pytest.approx(optimum.cost, abs=SIGMAS * error(costs))


@pytest.mark.parametrize(("lead_time", "underage"), [(1, 4), (4, 9), (10, 39)])
def test_the_simulator_attains_the_optimum_with_backlogged_demand(lead_time: int, underage: int) -> None:
    optimum = backlogged_optimum(5.0, 1.6, lead_time, 1.0, float(underage))
    layout = layout_of(one_store(lead_time, float(underage), "backlogged"))
    scenarios = backlogged(layout, 6000, 250, seed=8)
    policy = base_stock_at(optimum, layout)
    costs = simulated(layout, policy, scenarios)
    assert error(costs) < 0.004 * optimum.cost
    assert costs.mean() == pytest.approx(optimum.cost, abs=SIGMAS * error(costs))
    for moved in (-1.5, 1.5):  # on the same demand any other level costs more
        policy.level.data.fill_(optimum.level + moved)
        dearer = simulated(layout, policy, scenarios) - costs
        assert dearer.mean() > SIGMAS * error(dearer)


@pytest.mark.slow
def test_a_perceptron_learns_the_optimum_with_lost_sales() -> None:
    """L = 2, p = 9: within 3 % after 25 epochs, and no better than the best."""
    optimum = lost_sales_optimum(poisson_pmf(5.0), 2, 1.0, 9.0)
    layout = layout_of(one_store(2, 9.0, "lost", whole_units=True))
    policy = build_policy(MLPParams(hidden=2, window=0, calendar=0), layout, 5.0, seed=3)
    params = HDPOParams(epochs=25, batch=128, learning_rate=1e-2, scale_exponent=0.0)
    train(policy, layout, lost(layout, 2048, 50, seed=11), lost(layout, 1024, 100, seed=12), params, warmup=30)
    scenarios = lost(layout, 3000, 250, seed=13)
    learned = simulated(layout, policy, scenarios)
    excess = learned - simulated(layout, OrderTablePolicy(optimum), scenarios)
    assert excess.mean() < 0.03 * optimum.cost
    assert excess.mean() > -SIGMAS * error(excess)
    assert learned.mean() > optimum.cost - SIGMAS * error(learned)


@pytest.mark.slow
def test_base_stock_learns_the_optimum_with_backlogged_demand() -> None:
    """L = 4, p = 9: within 0.5 % of the optimum from a level 15 % too low, and no better than the best."""
    optimum = backlogged_optimum(5.0, 1.6, 4, 1.0, 9.0)
    layout = layout_of(one_store(4, 9.0, "backlogged"))
    policy = build_policy(BaseStockParams(window=0), layout, 5.0, seed=3)
    assert policy.level.item() * 5.0 < 0.86 * optimum.level
    params = HDPOParams(epochs=15, batch=256, learning_rate=2e-2, scale_exponent=0.0)
    train(policy, layout, backlogged(layout, 4096, 60, seed=11), backlogged(layout, 2048, 60, seed=12), params, 30)
    scenarios = backlogged(layout, 6000, 250, seed=13)
    learned = simulated(layout, policy, scenarios)
    excess = learned - simulated(layout, base_stock_at(optimum, layout), scenarios)
    assert excess.mean() < 0.005 * optimum.cost
    assert excess.mean() > -SIGMAS * error(excess)
    assert learned.mean() > optimum.cost - SIGMAS * error(learned)
