"""PPO of Stable-Baselines3 on our simulator through Gymnasium; run by `gradient_reliability` in the peer's Python."""

from __future__ import annotations

import argparse
import json
import math
import sys
from functools import partial

import torch
from stable_baselines3 import PPO  # type: ignore[import-not-found, unused-ignore]
from stable_baselines3.common.vec_env import DummyVecEnv  # type: ignore[import-not-found, unused-ignore]

from benchmarks.peers.plain_policy import FIRST_ORDER, FIRST_SPREAD, HIDDEN, LOOKS, PERIODS, WIDTH, Task, task
from models.inventory.gymnasium_env import InventoryEnv

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
    layout = problem.layout.relaxed()
    makers = [
        partial(InventoryEnv, layout, problem.law, PERIODS, 1000 * seed + number) for number in range(ENVIRONMENTS)
    ]
    # The library's defaults, but for the network's size, an update every two episodes of each environment, and the
    # same first orders as the other methods have.
    model = PPO(
        "MlpPolicy", DummyVecEnv(makers), n_steps=2 * PERIODS, batch_size=4 * PERIODS, seed=seed, device="cpu",
        policy_kwargs={"net_arch": [WIDTH] * HIDDEN, "log_std_init": math.log(FIRST_SPREAD)},
    )  # fmt: skip
    torch.nn.init.constant_(model.policy.action_net.bias, FIRST_ORDER)

    def mean_orders(state: torch.Tensor) -> torch.Tensor:
        return model.policy.get_distribution(state).mode()

    curve = []
    for look in range(1, LOOKS + 1):
        model.learn(budget * look // LOOKS - model.num_timesteps, reset_num_timesteps=False)
        curve.append((int(model.num_timesteps), problem.cost(mean_orders)))
    return curve


if __name__ == "__main__":
    main()
