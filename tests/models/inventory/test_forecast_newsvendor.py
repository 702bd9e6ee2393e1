"""A forecaster learns quantiles of what is to come, and the newsvendor on it orders up to them."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import norm

from models.inventory.demand_law import DemandLaw
from models.inventory.layout import Layout, layout_of
from models.inventory.observation import observe
from models.inventory.policies.forecast_newsvendor import (
    ForecastNewsvendorPolicy,
    ForecastParams,
    QuantileForecaster,
    fit_forecaster,
)
from models.inventory.scenarios import Scenarios, drawn_scenarios
from quaestor.errors import UsageError
from tests.models.inventory.networks import one_store, two_level

MEAN, DEVIATION, LEAD_TIME = 20.0, 5.0, 2
PARAMS = ForecastParams(width=16, window=8, steps=300, batch=256, learning_rate=5e-3)


@pytest.fixture(scope="module")
def layout() -> Layout:
    return layout_of(one_store(LEAD_TIME, 9.0, "lost"))


@pytest.fixture(scope="module")
def scenarios(layout: Layout) -> Scenarios:
    return drawn_scenarios(layout, DemandLaw("normal", (MEAN,), (DEVIATION,)), 256, 40, 8, seed=1)


@pytest.fixture(scope="module")
def forecaster(layout: Layout, scenarios: Scenarios) -> QuantileForecaster:
    return fit_forecaster(layout, scenarios, PARAMS)


def test_its_quantiles_are_exceeded_as_often_as_they_say(forecaster: QuantileForecaster, layout: Layout) -> None:
    fresh = drawn_scenarios(layout, DemandLaw("normal", (MEAN,), (DEVIATION,)), 4000, 3, 8, seed=2)
    past, came = fresh.demand[:, 0, :8], fresh.demand[:, 0, 8:].sum(dim=1)
    periods = torch.full((4000,), LEAD_TIME + 1.0)
    for level in (0.2, 0.5, 0.9):
        forecast = forecaster(past, torch.zeros(4000, 0), periods, torch.full((4000,), level))
        covered = float((came <= forecast).double().mean())
        assert covered == pytest.approx(level, abs=0.05)
        exact = norm.ppf(level, MEAN * 3, DEVIATION * 3**0.5)
        assert float(forecast.mean()) == pytest.approx(exact, rel=0.05)


def test_it_is_the_same_from_the_same_seed_and_leaves_the_global_stream_alone(
    forecaster: QuantileForecaster, layout: Layout, scenarios: Scenarios
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    again = fit_forecaster(layout, scenarios, PARAMS)
    assert torch.equal(torch.rand(2), expected)
    for name, weights in forecaster.state_dict().items():
        assert torch.equal(weights, again.state_dict()[name])


def test_it_orders_up_to_the_quantile_of_its_costs(
    forecaster: QuantileForecaster, layout: Layout, scenarios: Scenarios
) -> None:
    seen = observe(scenarios, scenarios.start, 0, 8, None)
    ratio = torch.full((256,), 9.0 / 10.0)
    level = forecaster(seen.past_demand[:, 0], seen.calendar, torch.full((256,), LEAD_TIME + 1.0), ratio)
    missing = level - seen.on_hand[:, 0] - seen.in_transit[:, 0].sum(dim=1)
    policy = ForecastNewsvendorPolicy(forecaster, "ratio")
    torch.testing.assert_close(policy(layout, seen)[:, 0], missing.clamp(min=0))
    fuller = type(seen)(seen.on_hand + 500, seen.in_transit, seen.past_demand, seen.calendar)
    assert float(policy(layout, fuller).max()) == 0.0
    assert float(ForecastNewsvendorPolicy(forecaster, "ratio", returns=True)(layout, fuller).max()) < 0.0
    fixed = ForecastNewsvendorPolicy(forecaster, "fixed")
    assert [name for name, of in fixed.named_parameters() if of.requires_grad] == ["offset"]


def test_what_it_cannot_forecast_is_refused(layout: Layout) -> None:
    network = layout_of(two_level())
    several = drawn_scenarios(network, DemandLaw("poisson", (5.0, 5.0, 5.0)), 4, 20, 8, seed=1)
    with pytest.raises(UsageError, match="networks of one store, this one has 5 places"):
        fit_forecaster(network, several, PARAMS)
    short = drawn_scenarios(layout, DemandLaw("poisson", (5.0,)), 4, 2, 8, seed=1)
    with pytest.raises(UsageError, match="too few to forecast 3 periods"):
        fit_forecaster(layout, short, PARAMS)
