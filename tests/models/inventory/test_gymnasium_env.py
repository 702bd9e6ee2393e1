"""The Gymnasium adapter keeps to that library's contract and plays exactly the same world."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("gymnasium", reason="the optional package gymnasium is not installed")

from gymnasium.utils.env_checker import check_env

from models.inventory.gymnasium_env import InventoryEnv
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
