"""The Gymnasium adapter keeps to that library's contract and plays exactly the same world."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("gymnasium", reason="the optional package gymnasium is not installed")

from gymnasium.utils.env_checker import check_env

from models.inventory.gymnasium_env import InventoryEnv, InventoryVectorEnv
from models.inventory.instances import one_warehouse_lost
from models.inventory.layout import Layout, layout_of
from models.inventory.observation import Observation
from models.inventory.rollout import rollout
from models.inventory.scenarios import drawn_scenarios
from quaestor.randomness import stream_seed

INSTANCE = one_warehouse_lost(3, seed=1)
LAYOUT = layout_of(INSTANCE.network)
PERIODS = 12


def environment(seed: int = 5) -> InventoryEnv:
    return InventoryEnv(LAYOUT, INSTANCE.demand, PERIODS, seed)


@pytest.mark.filterwarnings("ignore::UserWarning")  # spaces without limits, and the checker says so
def test_it_is_an_environment() -> None:
    check_env(environment(), skip_render_check=True)


def test_an_episode_costs_what_the_rollout_costs() -> None:
    actions = np.random.default_rng(0).uniform(0, 3, (PERIODS, LAYOUT.edges)).astype(np.float32)
    scale = float(np.mean(INSTANCE.demand.mean))

    class Recorded:
        window = 0
        period = -1

        def __call__(self, layout: Layout, observation: Observation) -> torch.Tensor:
            self.period += 1
            return torch.from_numpy(actions[self.period])[None] * scale

    one = environment()
    one.reset()
    played = [one.step(action) for action in actions]
    assert [truncated for *_, truncated, _ in played] == [False] * (PERIODS - 1) + [True]
    scenarios = drawn_scenarios(LAYOUT, INSTANCE.demand, 1, PERIODS, 0, stream_seed(5, "gymnasium episode", 0))
    costs = rollout(LAYOUT, Recorded(), scenarios)[0] / LAYOUT.stores
    assert [-reward for _, reward, *_ in played] == pytest.approx(costs.tolist(), rel=1e-5)


def test_a_seed_starts_the_same_episodes_again_and_episodes_differ() -> None:
    one = environment()
    first, _ = one.reset(seed=9)
    second, _ = one.reset()
    again, _ = one.reset(seed=9)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


def test_scenarios_side_by_side_cost_what_the_rollout_costs_and_go_on_with_the_next_episode() -> None:
    count, scale = 4, float(np.mean(INSTANCE.demand.mean))
    actions = np.random.default_rng(0).uniform(-1, 3, (PERIODS, count, LAYOUT.edges)).astype(np.float32)

    class Recorded:
        window = 0
        period = -1

        def __call__(self, layout: Layout, observation: Observation) -> torch.Tensor:
            self.period += 1
            return torch.from_numpy(actions[self.period]).clamp(min=0) * scale

    many = InventoryVectorEnv(LAYOUT, INSTANCE.demand, PERIODS, count, seed=5)
    first, _ = many.reset()
    played = [many.step(action) for action in actions]
    scenarios = drawn_scenarios(LAYOUT, INSTANCE.demand, count, PERIODS, 0, stream_seed(5, "gymnasium episode", 0))
    costs = rollout(LAYOUT, Recorded(), scenarios) / LAYOUT.stores
    assert -np.stack([rewards for _, rewards, *_ in played], axis=1) == pytest.approx(costs.numpy(), rel=1e-5)
    assert [bool(truncated.all()) for *_, truncated, _ in played] == [False] * (PERIODS - 1) + [True]
    seen, *_, told = played[-1]
    assert told["final_obs"].shape == seen.shape == first.shape
    assert not np.array_equal(seen, first)  # the next episode's opening, not the last one's
    assert np.array_equal(many.reset(seed=5)[0], first)


def test_side_by_side_one_seed_draws_all() -> None:
    with pytest.raises(TypeError, match="one seed for all"):
        InventoryVectorEnv(LAYOUT, INSTANCE.demand, PERIODS, 2, seed=5).reset(seed=[1, 2])
