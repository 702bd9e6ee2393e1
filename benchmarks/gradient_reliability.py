"""Pathwise gradients (HDPO) against score functions: REINFORCE with a baseline, and PPO of Stable-Baselines3.

One plain perceptron, the same demand and the same number of simulated periods for all; several seeds. PPO runs in an
environment of its own (benchmarks/peers/ppo.txt): `--peers PYTHON` names its Python, or the variable QUAESTOR_PPO.
Without it, the other two are compared.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor, nn

from benchmarks import Row, kept, options, report, resumable
from benchmarks.peers.plain_policy import FIRST_SPREAD, LOOKS, PERIODS, PROBLEMS, Plain, Task, flat, perceptron, task
from models.inventory.dynamics import step
from models.inventory.feasibility import ration
from models.inventory.rollout import rollout
from models.inventory.scenarios import Scenarios, drawn_scenarios
from quaestor.errors import UsageError
from quaestor.randomness import stream_seed

ROOT = Path(__file__).parents[1]
BATCH = 64
LEARNING_RATE = 3e-3
Loss = Callable[[Task, Plain, Tensor, Scenarios, torch.Generator], Tensor]
Curve = list[tuple[int, float]]


def pathwise_loss(problem: Task, policy: Plain, spread: Tensor, scenarios: Scenarios, _: torch.Generator) -> Tensor:
    """Mean cost per store and period: its gradient is the pathwise one."""
    cost = rollout(problem.layout.relaxed(), policy, scenarios)
    return cost.mean() / problem.layout.stores + 0.0 * spread.sum()


def score_loss(problem: Task, policy: Plain, spread: Tensor, scenarios: Scenarios, chance: torch.Generator) -> Tensor:
    """A surrogate whose gradient is REINFORCE's: log chance of each order times the cost from then on, less the mean
    of the other scenarios' in the same period (Williams 1992, with a leave-one-out baseline a period)."""
    layout, state = problem.layout.relaxed(), scenarios.start
    logs, costs = [], []
    for period in range(scenarios.periods):
        mean = policy.mean_orders(flat(state.on_hand, state.in_transit, problem.scale))
        drawn = (mean + spread.exp() * torch.randn(mean.shape, generator=chance)).detach()
        logs.append(torch.distributions.Normal(mean, spread.exp()).log_prob(drawn).sum(dim=1))
        orders = ration(layout, drawn.clamp(min=0) * problem.scale, state.on_hand)
        state, cost = step(layout, state, orders, scenarios.demand[:, :, period])
        costs.append(cost.total / layout.stores)
    to_go = torch.stack(costs, dim=1).flip(1).cumsum(dim=1).flip(1)
    baseline = (to_go.sum(dim=0, keepdim=True) - to_go) / (len(to_go) - 1)
    return (torch.stack(logs, dim=1) * (to_go - baseline)).sum(dim=1).mean() / scenarios.periods


METHODS: dict[str, Loss] = {"pathwise (HDPO)": pathwise_loss, "REINFORCE": score_loss}


def main() -> None:
    """Rows: problem, method, seeds, periods (simulated so far), cost (per store and period, mean over seeds) with its
    95 % interval cost_lower and cost_upper, worst_seed, and the summed variance of one batch's gradient at the same
    parameters for all methods: variance_at_first, variance_once_learned (by HDPO; PPO has neither)."""
    parser = options(__doc__)
    parser.add_argument("--peers", type=Path, default=os.environ.get("QUAESTOR_PPO"), help="Python with SB3")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=500_000, help="simulated periods for each seed")
    parser.add_argument("--problem", choices=PROBLEMS, action="append")
    resumable(parser)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.budget = min(arguments.seeds, 2), 13_000
    torch.set_num_threads(1)
    rows: list[Row] = []
    for name in arguments.problem or PROBLEMS:
        problem, seeds, budget = task(name), range(arguments.seeds), arguments.budget
        part = f"{name}-{budget}"
        at_points = kept(arguments.keep, f"{part}-variance", partial(_variances, problem, budget, arguments.quick))
        for method, loss in METHODS.items():
            curves = [
                kept(arguments.keep, f"{part}-{loss.__name__}-{seed}", partial(_curve, problem, loss, seed, budget))
                for seed in seeds
            ]
            rows += _rows(name, method, curves, at_points[method])
        if arguments.peers is not None:
            curves = [
                kept(arguments.keep, f"{part}-ppo-{seed}", partial(_ppo, arguments.peers, name, seed, budget))
                for seed in seeds
            ]
            rows += _rows(name, "PPO (Stable-Baselines3)", curves, [float("nan")] * 2)
    report(rows, arguments.json)


def _curve(problem: Task, loss: Loss, seed: int, budget: int) -> Curve:
    return _learn(problem, _fresh(problem, seed), loss, seed, budget)


def _variances(problem: Task, budget: int, quick: bool) -> dict[str, list[float]]:
    """Of each method at first, and where HDPO has led."""
    points = [_fresh(problem, 0), _fresh(problem, 0)]
    _learn(problem, points[1], pathwise_loss, 0, budget)
    return {
        method: [_variance(problem, point, loss, 20 if quick else 60) for point in points]
        for method, loss in METHODS.items()
    }


def _fresh(problem: Task, seed: int) -> Plain:
    return Plain(perceptron(problem.inputs, problem.layout.edges, seed), problem.scale)


def _learn(problem: Task, policy: Plain, loss: Loss, seed: int, budget: int) -> Curve:
    """Trains the policy in place; costs at each look."""
    spread = nn.Parameter(torch.full((problem.layout.edges,), FIRST_SPREAD).log())
    optimiser = torch.optim.Adam([*policy.parameters(), spread], lr=LEARNING_RATE)
    chance = torch.Generator().manual_seed(stream_seed(seed, "exploring orders"))
    steps = budget // (BATCH * PERIODS)
    looks = {max(1, steps * look // LOOKS) for look in range(1, LOOKS + 1)}
    curve = []
    for number in range(1, steps + 1):
        scenarios = _drawn(problem, stream_seed(seed, "training demand", number))
        optimiser.zero_grad()
        loss(problem, policy, spread, scenarios, chance).backward()
        nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimiser.step()
        if number in looks:
            curve.append((number * BATCH * PERIODS, problem.cost(policy)))
    return curve


def _variance(problem: Task, policy: Plain, loss: Loss, batches: int) -> float:
    spread = torch.full((problem.layout.edges,), FIRST_SPREAD).log()
    chance = torch.Generator().manual_seed(0)
    weights = list(policy.parameters())
    gradients = []
    for number in range(batches):
        scenarios = _drawn(problem, stream_seed(0, "gradient", number))
        slopes = torch.autograd.grad(loss(problem, policy, spread, scenarios, chance), weights)
        gradients.append(torch.cat([slope.flatten() for slope in slopes]))
    return float(torch.stack(gradients).double().var(dim=0).sum())


def _drawn(problem: Task, seed: int) -> Scenarios:
    return drawn_scenarios(problem.layout.relaxed(), problem.law, BATCH, PERIODS, 0, seed)


def _ppo(peer: Path, name: str, seed: int, budget: int) -> Curve:
    command = [str(peer), "-m", "benchmarks.peers.ppo", "--problem", name, "--seed", str(seed), "--budget", str(budget)]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UsageError(f"PPO did not run in {peer}: {last}")
    return [(int(periods), float(cost)) for periods, cost in json.loads(done.stdout)]


def _rows(problem: str, method: str, curves: list[Curve], variances: list[float]) -> list[Row]:
    rows = []
    for looks in zip(*curves, strict=True):
        costs = np.array([cost for _, cost in looks])
        half = student.ppf(0.975, len(costs) - 1) * costs.std(ddof=1) / len(costs) ** 0.5 if len(costs) > 1 else np.nan
        rows.append(
            {
                "problem": problem,
                "method": method,
                "seeds": len(costs),
                "periods": looks[0][0],
                "cost": float(costs.mean()),
                "cost_lower": float(costs.mean() - half),
                "cost_upper": float(costs.mean() + half),
                "worst_seed": float(costs.max()),
                "variance_at_first": variances[0],
                "variance_once_learned": variances[1],
            }
        )
    return rows


if __name__ == "__main__":
    main()
