"""How close HDPO comes to the optimum where it is known: lost sales, backlogged demand, and a chain of four stages.

The gap is paired: the learned and the optimal policy meet the same demand, in whole units where demand comes in them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks import Row, options, report
from models.inventory.hdpo import HDPOParams, mean_cost, train
from models.inventory.instances import (
    SERIAL_HOLDING,
    SERIAL_LEAD_TIMES,
    Instance,
    one_store_backlogged,
    one_store_lost,
    serial,
)
from models.inventory.layout import Layout, layout_of
from models.inventory.policies.build import build_policy
from models.inventory.policies.mlp import MLPParams
from models.inventory.rollout import OrderPolicy
from models.inventory.scenarios import Scenarios, drawn_scenarios
from models.inventory.yardsticks.backlogged import backlogged_optimum
from models.inventory.yardsticks.clark_scarf import serial_optimum
from models.inventory.yardsticks.echelon_levels import EchelonLevelsPolicy
from models.inventory.yardsticks.grid_demand import normal_on_grid
from models.inventory.yardsticks.order_table import OrderTablePolicy
from models.inventory.yardsticks.value_iteration import lost_sales_optimum, poisson_pmf
from quaestor.errors import UsageError
from quaestor.ope.interval import paired_interval
from quaestor.randomness import stream_seed

UNDERAGE = (4.0, 9.0, 19.0, 39.0)
Best = tuple[float, OrderPolicy]


@dataclass(frozen=True)
class Problem:
    """One class with a known optimum: its cells, its instance and its optimum by lead time and underage cost, and how
    many epochs a cell is learned for."""

    lead_times: tuple[int, ...]
    instance: Callable[[int, float], Instance]
    best: Callable[[int, float], Best]
    epochs: int = 15


def main() -> None:
    """Rows: problem, lead_time, underage, optimum, cost (a period), gap, gap_lower, gap_upper (shares of the optimum,
    95 % interval), train_seconds."""
    parser = options(__doc__ or "")
    parser.add_argument("--problem", choices=PROBLEMS)
    parser.add_argument("--lead-time", type=int)
    parser.add_argument("--underage", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    if arguments.lead_time is not None and arguments.lead_time < 1:
        parser.error(f"--lead-time must be 1 or more periods, found {arguments.lead_time}.")
    if arguments.underage is not None and not 0 < arguments.underage < float("inf"):
        parser.error(f"--underage must be above 0, found {arguments.underage}.")
    torch.set_num_threads(arguments.threads)
    rows = []
    for name, problem in PROBLEMS.items():
        if arguments.problem not in (None, name):
            continue
        leads = problem.lead_times[:1] if arguments.quick else problem.lead_times
        costs = UNDERAGE[1:2] if arguments.quick else UNDERAGE
        for lead_time in leads if arguments.lead_time is None else (arguments.lead_time,):
            for underage in costs if arguments.underage is None else (arguments.underage,):
                try:
                    epochs = 6 if arguments.quick else problem.epochs
                    row = _cell(name, problem, lead_time, underage, arguments.seed, epochs)
                except UsageError as error:
                    print(f"{name}, lead time {lead_time}, underage {underage:g}: {error}", file=sys.stderr, flush=True)
                    continue
                print(row, flush=True)
                rows.append(row)
    if not rows:
        sys.exit("No cell has a known optimum.")
    report(rows, arguments.json)
    print(f"mean gap {np.mean([row['gap'] for row in rows]):.3%}, largest {max(row['gap'] for row in rows):.3%}")


def _cell(name: str, problem: Problem, lead_time: int, underage: float, seed: int, epochs: int) -> Row:
    instance = problem.instance(lead_time, underage)
    layout = layout_of(instance.network)
    optimum, best = problem.best(lead_time, underage)
    reach = int(layout.reach.max())
    warmup, segment = 4 * reach, max(50, 3 * reach)
    start = time.perf_counter()
    policy = build_policy(MLPParams(hidden=2, window=0, calendar=0), layout, 5.0, stream_seed(seed, "weights"))

    def drawn(what: str, batch: int, periods: int) -> Scenarios:
        return drawn_scenarios(layout, instance.demand, batch, warmup + periods, 0, stream_seed(seed, what))

    params = HDPOParams(
        epochs=epochs, batch=1024, learning_rate=3e-3, segment=segment, scale_exponent=0.0, patience=epochs, seed=seed
    )
    dev = drawn("dev", 2048, 200)
    train(policy, layout, lambda epoch: drawn(f"epoch {epoch}", 1024, 12 * segment), dev, params, warmup)
    seconds = time.perf_counter() - start
    learned, excess = _judge(layout, policy, best, lambda part: drawn(f"test {part}", 4096, 500), warmup)
    interval = paired_interval(excess)
    return {
        "problem": name,
        "lead_time": lead_time,
        "underage": underage,
        "optimum": optimum,
        "cost": float(learned.mean()),
        "gap": interval.value / optimum,
        "gap_lower": interval.lower / optimum,
        "gap_upper": interval.upper / optimum,
        "train_seconds": seconds,
    }


def _judge(
    layout: Layout, policy: OrderPolicy, best: OrderPolicy, draw: Callable[[int], Scenarios], warmup: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cost of each test scenario and its excess over the optimal policy's, a part at a time."""
    costs, excess = [], []
    for part in range(4):
        scenarios = draw(part)
        cost = mean_cost(layout, policy, scenarios, warmup).double().numpy() * layout.stores
        costs.append(cost)
        excess.append(cost - mean_cost(layout, best, scenarios, warmup).double().numpy() * layout.stores)
    return np.concatenate(costs), np.concatenate(excess)


def _best_lost(lead_time: int, underage: float) -> Best:
    optimum = lost_sales_optimum(poisson_pmf(5.0), lead_time, 1.0, underage)
    return optimum.cost, OrderTablePolicy(optimum)


def _best_backlogged(lead_time: int, underage: float) -> Best:
    optimum = backlogged_optimum(5.0, 1.6, lead_time, 1.0, underage)
    return optimum.cost, EchelonLevelsPolicy([optimum.level])


def _best_serial(lead_time: int, underage: float) -> Best:
    leads, holding = (*SERIAL_LEAD_TIMES, lead_time)[::-1], SERIAL_HOLDING[::-1]
    optimum = serial_optimum(normal_on_grid(5.0, 2.0), leads, holding, underage)
    return optimum.cost, EchelonLevelsPolicy(optimum.levels[::-1])


PROBLEMS = {
    "one_store_lost": Problem((1, 2, 3, 4), one_store_lost, _best_lost),
    "one_store_backlogged": Problem((1, 4, 7, 10, 15, 20), one_store_backlogged, _best_backlogged),
    "serial": Problem((1, 2, 3, 4), serial, _best_serial, epochs=30),
}


if __name__ == "__main__":
    main()
