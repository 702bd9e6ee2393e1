"""The simulator as a Gymnasium environment, for reinforcement learning libraries; needs the package gymnasium."""

from __future__ import annotations

from typing import Any

import gymnasium  # type: ignore[import-not-found, unused-ignore]
import numpy as np
import torch
from numpy.typing import NDArray

from models.inventory.demand_law import DemandLaw
from models.inventory.dynamics import step
from models.inventory.feasibility import ration
from models.inventory.layout import Layout
from models.inventory.scenarios import drawn_scenarios
from quaestor.randomness import stream_seed

Floats = NDArray[np.float32]


class InventoryEnv(gymnasium.Env[Floats, Floats]):
    """One scenario of a network at a time, over drawn demand, `periods` long.

    Observation: on hand (place) and in transit (place, lead), flattened and in units of mean demand. Action: (edge,),
    in units of mean demand too; below 0 it counts as 0, and it is rationed like every policy's orders. Reward: minus
    the cost of the period per store. An episode ends by truncation, with no terminal value. Mean demand is that of a
    store, so that all numbers are of the order of 1.
    """

    def __init__(self, layout: Layout, law: DemandLaw, periods: int, seed: int) -> None:
        self._layout = layout
        self._law = law
        self._periods = periods
        self._seed = seed
        self._episode = 0
        self._scale = float(np.mean(law.mean))
        size = layout.places * (1 + layout.longest_lead_time)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.action_space = gymnasium.spaces.Box(-10.0, 10.0, (layout.edges,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """Starts the next episode; a seed starts the sequence of episodes anew."""
        super().reset(seed=seed)
        if seed is not None:
            self._seed, self._episode = seed, 0
        own = stream_seed(self._seed, "gymnasium episode", self._episode)
        self._scenarios = drawn_scenarios(self._layout, self._law, 1, self._periods, 0, own)
        self._episode += 1
        self._period = 0
        self._state = self._scenarios.start
        return self._observation(), {}

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Plays a period with these orders."""
        with torch.no_grad():
            desired = torch.as_tensor(action, dtype=self._state.on_hand.dtype).clamp(min=0)[None] * self._scale
            orders = ration(self._layout, desired, self._state.on_hand)
            demand = self._scenarios.demand[:, :, self._period]
            self._state, cost = step(self._layout, self._state, orders, demand)
        self._period += 1
        reward = -float(cost.total) / self._layout.stores
        return self._observation(), reward, False, self._period == self._periods, {}

    def _observation(self) -> Floats:
        seen = torch.cat((self._state.on_hand, self._state.in_transit.flatten(1)), dim=1)[0] / self._scale
        return np.asarray(seen.numpy(), dtype=np.float32)
