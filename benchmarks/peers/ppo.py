"""PPO of Stable-Baselines3 on our simulator; run by `gradient_reliability` in the peer's Python.

Environments are those of models/inventory/gymnasium_env.py, all played by one step of its vector environment.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import Any

import torch
from stable_baselines3 import PPO  # type: ignore[import-not-found, unused-ignore]
from stable_baselines3.common.vec_env import VecEnv  # type: ignore[import-not-found, unused-ignore]

from benchmarks.peers import plain_policy as plain
from benchmarks.peers.plain_policy import PERIODS, Plain, Task, task
from models.inventory.gymnasium_env import InventoryVectorEnv

ENVIRONMENTS = 16


def main() -> None:
    """Prints [periods, cost] at each look as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problem", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--budget", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    json.dump(_learn(task(arguments.problem), arguments.seed, arguments.budget), sys.stdout)


def _learn(problem: Task, seed: int, budget: int) -> list[tuple[int, float]]:
    # The library's defaults, but for the network's size, an update every two episodes of each environment, and the
    # same first orders as the other methods have.
    model = PPO(
        "MlpPolicy", SideBySide(problem, seed), n_steps=2 * PERIODS, batch_size=4 * PERIODS, seed=seed, device="cpu",
        policy_kwargs={"net_arch": [plain.WIDTH] * plain.HIDDEN, "log_std_init": math.log(plain.FIRST_SPREAD)},
    )  # fmt: skip
    torch.nn.init.constant_(model.policy.action_net.bias, plain.FIRST_ORDER)
    curve = []
    for look in range(1, plain.LOOKS + 1):
        model.learn(budget * look // plain.LOOKS - model.num_timesteps, reset_num_timesteps=False)
        curve.append((int(model.num_timesteps), problem.cost(Plain(_Mode(model.policy), problem.scale))))
    return curve


class _Mode(torch.nn.Module):
    """What the library's policy orders when it does not explore."""

    def __init__(self, policy: Any) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        mode: torch.Tensor = self.policy.get_distribution(state).mode()
        return mode


class SideBySide(VecEnv):  # type: ignore[misc, unused-ignore]
    """The adapter's vector environment, as the library asks for it."""

    def __init__(self, problem: Task, seed: int) -> None:
        self._games = InventoryVectorEnv(problem.layout.relaxed(), problem.law, PERIODS, ENVIRONMENTS, seed)
        self.render_mode = None
        super().__init__(ENVIRONMENTS, self._games.single_observation_space, self._games.single_action_space)

    def reset(self) -> Any:
        """Starts an episode of every environment."""
        return self._games.reset()[0]

    def step_async(self, actions: Any) -> None:
        """Takes the orders of every environment."""
        self._actions = actions

    def step_wait(self) -> Any:
        """Plays a period of every environment."""
        seen, rewards, _, truncated, told = self._games.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(ENVIRONMENTS)]
        if "final_obs" in told:  # truncated: the library goes on from its own estimate of what follows
            infos = [{"terminal_observation": last, "TimeLimit.truncated": True} for last in told["final_obs"]]
        return seen, rewards, truncated, infos

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same for every environment."""
        return [getattr(self, attr_name)] * ENVIRONMENTS

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Nothing is to be set."""
        raise NotImplementedError

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Nothing is to be called."""
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No environment is wrapped."""
        return [False] * ENVIRONMENTS


if __name__ == "__main__":
    main()
