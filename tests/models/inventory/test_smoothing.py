"""Smoothed episodes: repeatable, noise where it is said to be, and no attack beats the certificate."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from models.inventory.hdpo import mean_cost
from models.inventory.layout import Layout, layout_of
from models.inventory.observation import Observation, ObservationNoise, observe
from models.inventory.policies.base_stock import BaseStockParams, BaseStockPolicy
from models.inventory.rollout import rollout
from models.inventory.scenarios import Scenarios
from models.smoothing import inventory as smoothing
from models.smoothing.inventory import biases, episode_costs
from quaestor.certification.tangent import tangent_betting
from tests.models.inventory.networks import gamma_scenarios, two_level

WARMUP = 2
WINDOW = 4
NOISE_SCALE = 0.2


@pytest.fixture(scope="module")
def layout() -> Layout:
    return layout_of(two_level())


@pytest.fixture(scope="module")
def scenarios(layout: Layout) -> Scenarios:
    return gamma_scenarios(layout, batch=3, periods=10, history=WINDOW, seed=1)


@pytest.fixture(scope="module")
def policy(layout: Layout) -> BaseStockPolicy:
    return BaseStockPolicy(BaseStockParams(window=WINDOW), layout, 6.0)


@pytest.fixture(scope="module")
def scale(layout: Layout, scenarios: Scenarios) -> Tensor:
    return scenarios.demand.mean(dim=2) @ layout.store_share


def random_noise(layout: Layout, scenarios: Scenarios, seed: int) -> ObservationNoise:
    draw = torch.Generator().manual_seed(seed)
    shape = scenarios.batch, scenarios.periods, layout.places
    return ObservationNoise(
        torch.randn(shape, generator=draw),
        torch.randn(*shape, layout.longest_lead_time, generator=draw),
        torch.randn(scenarios.demand.shape, generator=draw),
    )


def test_episodes_are_repeatable_by_seed(
    layout: Layout, scenarios: Scenarios, policy: BaseStockPolicy, scale: Tensor
) -> None:
    one, again, other = (
        episode_costs(layout, policy, scenarios, scale, NOISE_SCALE, 5, WARMUP, seed) for seed in (1, 1, 2)
    )
    assert one.shape == (5, 3)
    assert np.array_equal(one, again)
    assert not (one == other).any()
    assert len(np.unique(one)) == one.size


@pytest.mark.parametrize("rows", [1, 6, 7, 10_000])
def test_how_episodes_are_chunked_does_not_matter(
    rows: int,
    layout: Layout,
    scenarios: Scenarios,
    policy: BaseStockPolicy,
    scale: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = episode_costs(layout, policy, scenarios, scale, NOISE_SCALE, 9, WARMUP, seed=1)
    progress: list[int] = []
    monkeypatch.setattr(smoothing, "ROWS_AT_ONCE", rows)
    found = episode_costs(layout, policy, scenarios, scale, NOISE_SCALE, 9, WARMUP, seed=1, on_progress=progress.append)
    # Sums of 32-bit numbers may differ in their last bits with the size of the batch.
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert sum(progress) == 9
    first = episode_costs(layout, policy, scenarios, scale, NOISE_SCALE, 4, WARMUP, seed=1)
    np.testing.assert_allclose(first, expected[:4], rtol=1e-5)


def test_without_noise_an_episode_is_the_plain_rollout(
    layout: Layout, scenarios: Scenarios, policy: BaseStockPolicy, scale: Tensor
) -> None:
    quiet = episode_costs(layout, policy, scenarios, scale, 0.0, 2, WARMUP, seed=1)
    plain = mean_cost(layout, policy, scenarios, WARMUP).double().numpy()
    np.testing.assert_allclose(quiet, np.stack((plain, plain)), rtol=1e-6)


def test_noise_is_measured_in_the_scale_of_each_place(
    layout: Layout, scenarios: Scenarios, scale: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe writes down what it sees; what it orders does not depend on it, so the state is the same."""
    monkeypatch.setattr(smoothing, "ROWS_AT_ONCE", 10_000)
    seen: list[Observation] = []

    class Probe:
        window = WINDOW

        def __call__(self, layout: Layout, observation: Observation) -> Tensor:
            """Always orders 5."""
            seen.append(observation)
            return torch.full((len(observation.on_hand), layout.edges), 5.0)

    costs, differences = [], {"on_hand": [], "in_transit": [], "past_demand": []}
    for noise_scale in (0.0, NOISE_SCALE):
        seen.clear()
        costs.append(episode_costs(layout, Probe(), scenarios, scale, noise_scale, 300, WARMUP, seed=1))
        for name, kept in differences.items():
            kept.append(torch.stack([getattr(observation, name) for observation in seen]))
    assert np.array_equal(*costs)  # what is seen is noisy, the world is not
    for name, (plain, noisy) in differences.items():
        noise = (noisy - plain).view(scenarios.periods, 300, scenarios.batch, plain.shape[2], -1)
        own = scale[:, layout.warehouses :] if name == "past_demand" else scale
        torch.testing.assert_close(noise.std(dim=(0, 1, 4)), NOISE_SCALE * own, rtol=0.08, atol=0.0)


def test_a_demand_record_keeps_its_noise_and_stock_is_read_anew(layout: Layout, scenarios: Scenarios) -> None:
    noise = random_noise(layout, scenarios, seed=3)
    views = [
        observe(scenarios, scenarios.start, period, WINDOW, noise).past_demand for period in range(scenarios.periods)
    ]
    for earlier, later in itertools.pairwise(views):
        assert torch.equal(earlier[:, :, 1:], later[:, :, :-1])
    for period, view in enumerate(views):
        clean = observe(scenarios, scenarios.start, period, WINDOW, None).past_demand
        assert torch.equal(view, clean + noise.demand[:, :, period : period + WINDOW])
    stock = [observe(scenarios, scenarios.start, period, WINDOW, noise).on_hand for period in range(2)]
    assert not (stock[0] == stock[1]).any()


def test_noise_is_added_to_what_is_seen_and_never_to_the_world(layout: Layout, scenarios: Scenarios) -> None:
    class Constant:
        window = WINDOW

        def __call__(self, layout: Layout, observation: Observation) -> Tensor:
            """Blind."""
            return torch.full((len(observation.on_hand), layout.edges), 4.0)

    noise = random_noise(layout, scenarios, seed=3)
    assert torch.equal(rollout(layout, Constant(), scenarios), rollout(layout, Constant(), scenarios, noise))


def total_size(attack: ObservationNoise, layout: Layout, scale: Tensor) -> float:
    """ℓ2 size over the whole episode, each reading measured in the scale of its place."""
    stores = scale[:, layout.warehouses :]
    parts = (
        attack.on_hand / scale[:, None, :],
        attack.in_transit / scale[:, None, :, None],
        attack.demand / stores[:, :, None],
    )
    return float(sum(part.double().square().sum() for part in parts)) ** 0.5


@pytest.mark.parametrize("budget", [0.0, 0.015, 2.0])
def test_an_attack_spends_exactly_its_budget(
    budget: float, layout: Layout, scenarios: Scenarios, scale: Tensor
) -> None:
    attacks = biases(layout, scenarios, scale, budget)
    assert set(attacks) == {
        "stock readings up", "stock readings down", "demand records up", "demand records down",
    }  # fmt: skip
    for name, attack in attacks.items():
        assert total_size(attack, layout, scale) == pytest.approx(budget, rel=1e-5, abs=1e-12)
        sign = 1 if name.endswith("up") else -1
        assert all(bool((sign * part >= 0).all()) for part in (attack.on_hand, attack.in_transit, attack.demand))


def steepest(
    layout: Layout, scenarios: Scenarios, policy: BaseStockPolicy, scale: Tensor, budget: float
) -> ObservationNoise:
    """The direction in which the cost without noise rises fastest, followed as far as the budget goes."""
    zero = random_noise(layout, scenarios, seed=0)
    shift = [torch.zeros_like(part, requires_grad=True) for part in (zero.on_hand, zero.in_transit, zero.demand)]
    sizes = scale[:, None, :], scale[:, None, :, None], scale[:, layout.warehouses :, None]
    seen = ObservationNoise(*(part * size for part, size in zip(shift, sizes, strict=True)))
    rollout(layout, policy, scenarios, seen)[:, WARMUP:].sum().backward()
    length = float(sum(part.grad.square().sum() for part in shift)) ** 0.5
    return ObservationNoise(*(part.grad * (budget / length) * size for part, size in zip(shift, sizes, strict=True)))


@pytest.mark.parametrize("ratio", [0.5, 1.5])
def test_no_attack_beats_the_certificate(
    ratio: float, layout: Layout, scenarios: Scenarios, policy: BaseStockPolicy, scale: Tensor
) -> None:
    """Also not one that knows the gradient, and at the very episodes that the bound was not computed from."""
    budget, episodes = ratio * NOISE_SCALE, 400

    def played(seed: int, shift: ObservationNoise | None) -> np.ndarray:
        return episode_costs(layout, policy, scenarios, scale, NOISE_SCALE, episodes, WARMUP, seed, shift).mean(axis=1)

    clean = played(1, None)
    cap = 1.5 * float(clean.mean())
    bound = float(tangent_betting(clean, cap, np.array([ratio]), alpha=0.05)[0])
    assert clean.mean() < bound < cap  # neither empty nor out of reach
    attacks = biases(layout, scenarios, scale, budget)
    attacks["steepest"] = steepest(layout, scenarios, policy, scale, budget)
    attacks["steepest, turned round"] = ObservationNoise(
        -attacks["steepest"].on_hand, -attacks["steepest"].in_transit, -attacks["steepest"].demand
    )
    assert total_size(attacks["steepest"], layout, scale) == pytest.approx(budget, rel=1e-4)
    costs = {name: float(np.minimum(played(2, shift), cap).mean()) for name, shift in attacks.items()}
    assert max(costs.values()) <= bound, costs
    assert costs["steepest"] > clean.mean()  # it is an attack, not a favour
