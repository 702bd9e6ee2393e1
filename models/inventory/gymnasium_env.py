"""The simulator as Gymnasium environments, for reinforcement learning libraries; needs the package gymnasium."""

from __future__ import annotations

from typing import Any

import gymnasium  # type: ignore[import-not-found, unused-ignore]
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv  # type: ignore[import-not-found, unused-ignore]
from numpy.typing import NDArray

from models.inventory.demand_law import DemandLaw
from models.inventory.dynamics import step
from models.inventory.feasibility import ration
from models.inventory.layout import Layout
from models.inventory.scenarios import drawn_scenarios
from quaestor.randomness import stream_seed

Floats = NDArray[np.float32]


class _Episodes:
    """Episodes of `count` scenarios at once, drawn one batch after the other."""

    def __init__(self, layout: Layout, law: DemandLaw, periods: int, count: int, seed: int) -> None:
        self._layout, self._law, self._periods, self._count = layout, law, periods, count
        self._seed, self._number = seed, 0
        self._scale = float(np.mean(law.mean))
        inputs = layout.places * (1 + layout.longest_lead_time)
        self.observed = gymnasium.spaces.Box(-np.inf, np.inf, (inputs,), np.float32)
        self.ordered = gymnasium.spaces.Box(-10.0, 10.0, (layout.edges,), np.float32)

    def start(self, seed: int | None) -> Floats:
        """Starts the next episode, or the first one of a seed; what is observed, (scenario, input)."""
        if seed is not None:
            self._seed, self._number = seed, 0
        own = stream_seed(self._seed, "gymnasium episode", self._number)
        self._scenarios = drawn_scenarios(self._layout, self._law, self._count, self._periods, 0, own)
        self._number += 1
        self._period, self._state = 0, self._scenarios.start
        return self._observation()

    def play(self, actions: Floats) -> tuple[Floats, Floats, bool]:
        """Plays a period with actions (scenario, edge): observations, rewards (scenario,), whether it was the last."""
        with torch.no_grad():
            desired = torch.as_tensor(actions, dtype=self._state.on_hand.dtype).clamp(min=0) * self._scale
            orders = ration(self._layout, desired, self._state.on_hand)
            demand = self._scenarios.demand[:, :, self._period]
            self._state, cost = step(self._layout, self._state, orders, demand)
        self._period += 1
        rewards = np.asarray(-(cost.total / self._layout.stores).numpy())
        return self._observation(), rewards, self._period == self._periods

    def _observation(self) -> Floats:
        seen = torch.cat((self._state.on_hand, self._state.in_transit.flatten(1)), dim=1) / self._scale
        return np.asarray(seen.numpy(), dtype=np.float32)


class InventoryEnv(gymnasium.Env[Floats, Floats]):
    """One scenario of a network at a time, over drawn demand, `periods` long.

    Observation: on hand (place) and in transit (place, lead), flattened and in units of mean demand. Action: (edge,),
    in units of mean demand too; below 0 it counts as 0, and it is rationed like every policy's orders. Reward: minus
    the cost of the period per store. An episode ends by truncation, with no terminal value. Mean demand is that of a
    store, so that all numbers are of the order of 1.
    """

    def __init__(self, layout: Layout, law: DemandLaw, periods: int, seed: int) -> None:
        self._episodes = _Episodes(layout, law, periods, 1, seed)
        self.observation_space, self.action_space = self._episodes.observed, self._episodes.ordered

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """Starts the next episode; a seed starts the sequence of episodes anew."""
        super().reset(seed=seed)
        return self._episodes.start(seed)[0], {}

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Plays a period with these orders."""
        seen, rewards, over = self._episodes.play(np.asarray(action)[None])
        return seen[0], float(rewards[0]), False, over, {}


class InventoryVectorEnv(VectorEnv[Floats, Floats, NDArray[Any]]):
    """`count` such scenarios in the same period of their episodes, all played by one step of the simulator.

    Arrays lead with the scenario. The next episode starts in the step that ends one; `final_obs` is what was seen last.
    """

    def __init__(self, layout: Layout, law: DemandLaw, periods: int, count: int, seed: int) -> None:
        self._episodes = _Episodes(layout, law, periods, count, seed)
        self.num_envs = count
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space, self.single_action_space = self._episodes.observed, self._episodes.ordered
        self.observation_space = gymnasium.vector.utils.batch_space(self.single_observation_space, count)
        self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, count)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """Starts the next episodes; a seed, one for all, starts the sequence of episodes anew."""
        if isinstance(seed, list):
            raise TypeError("The scenarios are drawn together: give one seed for all of them, or none.")
        super().reset(seed=seed)
        return self._episodes.start(seed), {}

    def step(self, actions: Floats) -> tuple[Floats, Floats, NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Plays a period with these orders (scenario, edge)."""
        seen, rewards, over = self._episodes.play(actions)
        ended = np.full(self.num_envs, over)
        if not over:
            return seen, rewards, np.zeros_like(ended), ended, {}
        return self._episodes.start(None), rewards, np.zeros_like(ended), ended, {"final_obs": seen}
