"""Training for smoothing: the loss is the certified cost of a normal law, and descending it pays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from models.inventory.hdpo import TrainingDivergedError
from models.inventory.layout import Layout, layout_of
from models.inventory.policies.base_stock import BaseStockParams
from models.inventory.policies.build import build_policy
from models.inventory.rollout import rollout
from models.smoothing.inventory import episode_costs
from models.smoothing.noise import NoiseScales
from models.smoothing.training import SmoothedGame, SmoothedTrainingParams, certified_cost, train_smoothed
from quaestor.randomness import stream_seed
from tests.models.inventory.networks import gamma_scenarios, two_level

WARMUP = 3


@pytest.fixture(scope="module")
def layout() -> Layout:
    return layout_of(two_level())


def game_of(layout: Layout, noise_scale: float, together: int = 1) -> SmoothedGame:
    return SmoothedGame(
        layout, NoiseScales.by_place(layout, torch.ones(1, layout.places)), noise_scale, WARMUP, together
    )


@pytest.mark.parametrize("together", [1, 4])
def test_the_loss_is_mean_plus_lambda_deviations_of_an_episode(layout: Layout, together: int) -> None:
    """An episode of several scenarios costs their mean; its deviation is that of the episodes played."""
    scenarios = gamma_scenarios(layout, 4, 10, 4, seed=1)
    policy = build_policy(BaseStockParams(window=0), layout, 6.0, seed=0)
    game = game_of(layout, 2.0, together)
    values = episode_costs(
        layout, policy, scenarios, game.scales.rows(torch.zeros(4).long()), 2.0, 3000, WARMUP, seed=5
    )
    episodes = values.mean(axis=1, keepdims=True) if together > 1 else values
    expected = values.mean() + 1.5 * np.sqrt(episodes.var(axis=0).mean())
    with torch.no_grad():
        found = certified_cost(policy, game, scenarios, budget=3.0, draws=3000, seed=6)
    assert float(found) == pytest.approx(expected, rel=0.02)


def test_without_a_budget_it_is_the_mean_under_noise_and_without_noise_the_cost(layout: Layout) -> None:
    scenarios = gamma_scenarios(layout, 3, 10, 4, seed=1)
    policy = build_policy(BaseStockParams(window=0), layout, 6.0, seed=0)
    with torch.no_grad():
        bare = certified_cost(policy, game_of(layout, 0.0), scenarios, 0.0, 4, seed=1)
        plain = rollout(layout, policy, scenarios)[:, WARMUP:].mean() / layout.stores
        mean = certified_cost(policy, game_of(layout, 1.0), scenarios, 0.0, 1, seed=1)
    assert float(bare) == pytest.approx(float(plain), rel=1e-6)
    assert float(mean) != pytest.approx(float(plain), rel=1e-6)


def test_descending_it_lowers_it_and_the_same_seed_repeats_it(layout: Layout) -> None:
    train, dev = (gamma_scenarios(layout, 16, 14, 4, seed=seed) for seed in (1, 2))
    params = SmoothedTrainingParams(2.0, steps=20, traces=8, learning_rate=0.1, check_every=5)
    curves = []
    for _ in range(2):
        policy = build_policy(BaseStockParams(window=0), layout, 6.0, seed=0)
        curves.append(train_smoothed(policy, game_of(layout, 2.0), train, dev, params))
        with torch.no_grad():
            kept = certified_cost(policy, game_of(layout, 2.0), dev, 2.0, 4, stream_seed(0, "dev noise"))
        assert float(kept) == pytest.approx(min(curves[-1]), rel=1e-6)
    assert curves[0] == curves[1]
    assert min(curves[0]) < curves[0][0]


def test_what_it_came_with_is_kept_where_no_step_is_better(layout: Layout) -> None:
    scenarios = gamma_scenarios(layout, 4, 10, 4, seed=1)
    policy = build_policy(BaseStockParams(window=0), layout, 6.0, seed=0)
    before = [parameter.clone() for parameter in policy.parameters()]
    wild = SmoothedTrainingParams(steps=3, traces=4, learning_rate=5.0, check_every=1)
    curve = train_smoothed(policy, game_of(layout, 1.0), scenarios, scenarios, wild)
    assert min(curve) == curve[0]
    assert all(torch.equal(a, b) for a, b in zip(before, policy.parameters(), strict=True))


def test_a_training_that_diverges_says_so(layout: Layout) -> None:
    scenarios = gamma_scenarios(layout, 4, 10, 4, seed=1)
    policy = build_policy(BaseStockParams(window=0), layout, 6.0, seed=0)
    with pytest.raises(TrainingDivergedError, match="lower learning_rate"):
        train_smoothed(
            policy, game_of(layout, 1.0), scenarios, scenarios, SmoothedTrainingParams(steps=5, learning_rate=1e4)
        )


@pytest.mark.parametrize("bad", [{"budget": 1.0, "draws": 1}, {"steps": 0}, {"budget": -1.0}, {"learning_rate": 0.0}])
def test_params_that_make_no_sense_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|needs"):
        SmoothedTrainingParams(**bad)
