"""Training for smoothing: the loss is the certified cost of a normal law, and descending it pays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.inventory.layout import Layout, layout_of
from models.inventory.policies.base_stock import BaseStockParams
from models.inventory.policies.build import build_policy
from models.inventory.scenarios import Scenarios
from models.smoothing.inventory import episode_costs
from models.smoothing.noise import NoiseScales
from models.smoothing.training import SmoothedTrainingParams, certified_cost, train_smoothed
from tests.models.inventory.networks import gamma_scenarios, two_level

WARMUP = 3


@pytest.fixture(scope="module")
def layout() -> Layout:
    return layout_of(two_level())


def scales_of(layout: Layout, scenarios: Scenarios) -> NoiseScales:
    return NoiseScales.by_place(layout, torch.ones(scenarios.batch, layout.places))


def test_the_loss_is_mean_plus_lambda_deviations(layout: Layout) -> None:
    scenarios = gamma_scenarios(layout, 2, 10, 4, seed=1)
    policy = build_policy(BaseStockParams(window=0), layout, 6.0, seed=0)
    scales = scales_of(layout, scenarios)
    values = episode_costs(layout, policy, scenarios, scales, 2.0, 3000, WARMUP, seed=5)
    expected = values.mean() + 1.5 * np.sqrt(values.var(axis=0).mean())
    params = SmoothedTrainingParams(2.0, 1.5, draws=3000)
    with torch.no_grad():
        found = certified_cost(policy, layout, scenarios, lambda rows: scales_of(layout, rows), WARMUP, params, seed=6)
    assert float(found) == pytest.approx(expected, rel=0.02)


def test_descending_it_lowers_it_and_the_same_seed_repeats_it(layout: Layout) -> None:
    train, dev = (gamma_scenarios(layout, 16, 14, 4, seed=seed) for seed in (1, 2))
    params = SmoothedTrainingParams(2.0, 1.0, steps=20, traces=8, learning_rate=0.1, check_every=5)
    curves = []
    for _ in range(2):
        policy = build_policy(BaseStockParams(window=0), layout, 6.0, seed=0)
        curves.append(train_smoothed(policy, layout, train, dev, lambda rows: scales_of(layout, rows), WARMUP, params))
    assert curves[0] == curves[1]
    assert min(curves[0]) < curves[0][0]


def test_a_spread_needs_two_draws() -> None:
    with pytest.raises(ValueError, match="2 draws"):
        SmoothedTrainingParams(1.0, 1.0, draws=1)
