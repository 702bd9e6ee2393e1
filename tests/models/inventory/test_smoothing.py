"""Smoothed episodes: repeatable, noise where it is said to be, and no attack beats the certificate."""

from __future__ import annotations

import itertools
from dataclasses import replace

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
from models.smoothing.aimed_attacks import Adversary, Aimed
from models.smoothing.inventory import Attack, episode_costs, trace_costs
from models.smoothing.inventory_attacks import Replanned, biases, parts_of, random_directions, steepest
from models.smoothing.noise import NoiseScales, squares, standard_noise
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
def scales(layout: Layout, scenarios: Scenarios) -> NoiseScales:
    return NoiseScales.by_place(layout, scenarios.demand.mean(dim=2) @ layout.store_share)


def random_noise(layout: Layout, scenarios: Scenarios, seed: int) -> ObservationNoise:
    draw = torch.Generator().manual_seed(seed)
    shape = scenarios.batch, scenarios.periods, layout.places
    return ObservationNoise(
        torch.randn(shape, generator=draw),
        torch.randn(*shape, layout.longest_lead_time, generator=draw),
        torch.randn(scenarios.demand.shape, generator=draw),
    )


def test_episodes_are_repeatable_by_seed(
    layout: Layout, scenarios: Scenarios, policy: BaseStockPolicy, scales: NoiseScales
) -> None:
    one, again, other = (
        episode_costs(layout, policy, scenarios, scales, NOISE_SCALE, 5, WARMUP, seed) for seed in (1, 1, 2)
    )
    assert one.shape == (5, 3)
    assert np.array_equal(one, again)
    assert not (one == other).any()
    assert len(np.unique(one)) == one.size


def test_any_episode_can_be_played_again_by_its_number(
    layout: Layout, scenarios: Scenarios, policy: BaseStockPolicy, scales: NoiseScales
) -> None:
    def played(count: int, first: int) -> np.ndarray:
        return episode_costs(
            layout, policy, scenarios, scales, NOISE_SCALE, count, WARMUP, 1, first=first, rows_at_once=6
        )

    everything = played(9, 0)
    progress: list[int] = []
    for first, count in ((0, 4), (3, 5), (8, 1)):
        assert np.array_equal(played(count, first), everything[first : first + count])
    episode_costs(layout, policy, scenarios, scales, NOISE_SCALE, 9, WARMUP, 1, on_progress=progress.append)
    assert sum(progress) == 9


def test_threads_do_not_change_an_episode(
    layout: Layout, scenarios: Scenarios, policy: BaseStockPolicy, scales: NoiseScales
) -> None:
    def played() -> np.ndarray:
        return episode_costs(layout, policy, scenarios, scales, NOISE_SCALE, 9, WARMUP, 1, rows_at_once=6)

    alone = played()
    torch.set_num_threads(2)
    assert np.array_equal(played(), alone)
    assert torch.get_num_threads() == 2


def test_traces_are_played_with_fresh_noise_and_chunk_by_chunk(layout: Layout, policy: BaseStockPolicy) -> None:
    def traces(first: int, count: int) -> Scenarios:
        drawn = [gamma_scenarios(layout, 1, 10, WINDOW, seed) for seed in range(first, first + count)]
        return Scenarios(
            torch.cat([each.demand for each in drawn]), drawn[0].calendar,
            torch.cat([each.on_hand for each in drawn]), torch.cat([each.in_transit for each in drawn]), WINDOW,
        )  # fmt: skip

    def fixed(rows: Scenarios) -> NoiseScales:
        return NoiseScales.by_place(layout, torch.full((rows.batch, layout.places), 6.0))

    costs = trace_costs(layout, policy, traces, fixed, NOISE_SCALE, 12, 3, WARMUP, seed=1)
    assert costs.shape == (12, 3)
    assert len(np.unique(costs)) == costs.size
    assert costs.std(axis=1).mean() < costs.std()
    quiet = trace_costs(layout, policy, traces, fixed, 0.0, 12, 3, WARMUP, seed=1)
    assert (np.ptp(quiet, axis=1) < 1e-5).all()


def test_without_noise_an_episode_is_the_plain_rollout(
    layout: Layout, scenarios: Scenarios, policy: BaseStockPolicy, scales: NoiseScales
) -> None:
    quiet = episode_costs(layout, policy, scenarios, scales, 0.0, 2, WARMUP, seed=1)
    plain = mean_cost(layout, policy, scenarios, WARMUP).double().numpy()
    np.testing.assert_allclose(quiet, np.stack((plain, plain)), rtol=1e-6)


def test_noise_is_measured_in_the_scale_of_each_place(
    layout: Layout, scenarios: Scenarios, scales: NoiseScales
) -> None:
    """A probe writes down what it sees; what it orders does not depend on it, so the state is the same."""
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
        costs.append(
            episode_costs(layout, Probe(), scenarios, scales, noise_scale, 300, WARMUP, seed=1, rows_at_once=900)
        )
        for name, kept in differences.items():
            kept.append(torch.stack([getattr(observation, name) for observation in seen]))
    assert np.array_equal(*costs)  # what is seen is noisy, the world is not
    for name, (plain, noisy) in differences.items():
        noise = (noisy - plain).view(scenarios.periods, 300, scenarios.batch, plain.shape[2], -1)
        own = scales.demand if name == "past_demand" else scales.on_hand
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


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("budget", [0.0, 0.015, 2.0])
def test_an_attack_spends_its_budget_and_no_more(
    budget: float, together: bool, layout: Layout, scenarios: Scenarios, policy: BaseStockPolicy, scales: NoiseScales
) -> None:
    noise = scales.times(standard_noise(layout, scenarios, scenarios.batch, 3), NOISE_SCALE)
    uphill = steepest(layout, policy, scenarios, scales, NOISE_SCALE, budget, together, WARMUP, seed=1, steps=1)
    named = biases(layout, scenarios, budget, together) | {"gradient": uphill}
    named |= random_directions(layout, scenarios, budget, together, 2, seed=1)
    for attack in named.values():
        spent = squares(attack.shift).double()
        total = spent.sum().expand(1) if together else spent
        torch.testing.assert_close(total.sqrt(), torch.full_like(total, budget), rtol=1e-4, atol=1e-12)
        in_units = attack(layout, scenarios, scales, noise)
        torch.testing.assert_close(in_units.demand, attack.shift.demand * scales.demand[:, :, None])
    group = scenarios.batch if together else 1
    adaptive = Replanned(policy, NOISE_SCALE, budget, group, WARMUP, seed=1, plans=3)
    shift = adaptive(layout, scenarios, scales, noise)
    one = NoiseScales(*(1 / part for part in (scales.on_hand, scales.in_transit, scales.demand)))
    spent = squares(one.times(shift)).view(-1, group).sum(dim=1).sqrt()
    assert (spent <= budget * (1 + 1e-4) + 1e-12).all()
    if budget:
        assert (spent > 0.5 * budget).all()


def test_rounding_hides_no_gradient(scenarios: Scenarios, policy: BaseStockPolicy, scales: NoiseScales) -> None:
    """Where goods come in whole units, attacks that climb spend their budget, too."""
    whole = replace(layout_of(two_level()), whole_units=True)
    uphill = steepest(whole, policy, scenarios, scales, NOISE_SCALE, 1.0, True, WARMUP, seed=1, steps=1, draws=1)
    assert float(squares(uphill.shift).sum()) == pytest.approx(1.0, rel=1e-4)
    noise = scales.times(standard_noise(whole, scenarios, scenarios.batch, 3), NOISE_SCALE)
    adaptive = Replanned(policy, NOISE_SCALE, 1.0, scenarios.batch, WARMUP, seed=1, plans=2, samples=1)
    assert any(part.any() for part in parts_of(adaptive(whole, scenarios, scales, noise)))


def test_an_adaptive_attack_knows_only_the_past(
    layout: Layout, scenarios: Scenarios, policy: BaseStockPolicy, scales: NoiseScales
) -> None:
    """With other noise from period 5 on, what it did before period 5 stays the same."""
    periods, attack = scenarios.periods, Replanned(policy, NOISE_SCALE, 1.0, 1, WARMUP, seed=1, plans=5)
    one, other = (
        scales.times(standard_noise(layout, scenarios, scenarios.batch, seed), NOISE_SCALE) for seed in (3, 4)
    )
    late = torch.arange(periods) >= 5
    mixed = ObservationNoise(
        torch.where(late[:, None], other.on_hand, one.on_hand),
        torch.where(late[:, None, None], other.in_transit, one.in_transit),
        torch.where(torch.cat((torch.zeros(WINDOW, dtype=torch.bool), late)), other.demand, one.demand),
    )
    first, second = (attack(layout, scenarios, scales, noise) for noise in (one, mixed))
    assert torch.equal(first.on_hand[:, :6], second.on_hand[:, :6])
    assert not torch.equal(first.on_hand[:, 6:], second.on_hand[:, 6:])


def test_an_aimed_attack_leaves_the_others_in_peace_and_is_the_attack_on_its_own_products(
    layout: Layout, scenarios: Scenarios, policy: BaseStockPolicy, scales: NoiseScales
) -> None:
    """Two episodes of three scenarios, aimed at the first and the last: as if the second were not there."""
    everyone, chosen = torch.arange(3).repeat(2), torch.tensor([0, 2])
    rows, own = scenarios.rows(everyone), scales.rows(everyone)
    noise = own.times(random_noise(layout, rows, seed=3))
    attack = Replanned(policy, NOISE_SCALE, 0.5, 2, WARMUP, seed=1, plans=2)
    shift = Aimed(attack, chosen, together=3)(layout, rows, own, noise)
    index = torch.tensor([0, 2, 3, 5])
    alone = attack(layout, rows.rows(index), own.rows(index), ObservationNoise(*(p[index] for p in parts_of(noise))))
    for part, found in zip(parts_of(shift), parts_of(alone), strict=True):
        assert torch.equal(part[index], found)
        assert not part[[1, 4]].any()
    sizes = squares(NoiseScales(*(1 / part for part in (own.on_hand, own.in_transit, own.demand))).times(shift))
    assert sizes.view(2, 3).sum(dim=1).sqrt().tolist() == pytest.approx([0.5, 0.5], rel=1e-4)


def test_a_target_is_where_the_gradient_is_largest(
    layout: Layout, scenarios: Scenarios, policy: BaseStockPolicy, scales: NoiseScales
) -> None:
    adversary = Adversary(layout, policy, scenarios, scales, NOISE_SCALE, 1.0, WARMUP)
    everywhere, one = adversary.target(3, seed=1), adversary.target(1, seed=1)
    assert (everywhere.rows.tolist(), everywhere.wide) == ([0, 1, 2], None)
    assert one.wide is not None
    assert one.rows.tolist() == [int(squares(one.wide.shift).argmax())]
    assert float(squares(adversary.uphill(one, seed=1).shift).sum()) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("ratio", [0.5, 1.5])
def test_no_attack_beats_the_certificate(
    ratio: float, layout: Layout, scenarios: Scenarios, policy: BaseStockPolicy, scales: NoiseScales
) -> None:
    """Also not one that knows the gradient, or looks at all that happened, at fresh episodes."""
    budget, episodes = ratio * NOISE_SCALE, 340

    def played(seed: int, attack: Attack | None) -> np.ndarray:
        costs = episode_costs(layout, policy, scenarios, scales, NOISE_SCALE, episodes, WARMUP, seed, attack)
        return costs.mean(axis=1)

    clean = played(1, None)
    cap = 1.5 * float(clean.mean())
    bound = float(tangent_betting(clean, cap, np.array([ratio]), alpha=0.05)[0])
    uphill = steepest(layout, policy, scenarios, scales, NOISE_SCALE, budget, True, WARMUP, seed=5)
    attacks: dict[str, Attack] = {
        **biases(layout, scenarios, budget, True),
        **random_directions(layout, scenarios, budget, True, 3, seed=5),
        "gradient": uphill,
        "gradient, turned round": uphill.stretched(-1.0),
        "adaptive": Replanned(policy, NOISE_SCALE, budget, scenarios.batch, WARMUP, seed=5, plans=3),
    }
    costs = {name: float(np.minimum(played(2, attack), cap).mean()) for name, attack in attacks.items()}
    assert max(costs.values()) <= bound, costs
    assert costs["gradient"] > clean.mean()  # it is an attack, not a favour
    blind = [cost for name, cost in costs.items() if name not in {"gradient", "adaptive"}]
    assert max(costs["gradient"], costs["adaptive"]) > max(blind)
