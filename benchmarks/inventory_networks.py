"""HDPO on networks without a known optimum: against lower bounds, against the best classical policy fitted by the same
gradients, and by how many scenarios it learned from; costs are on fresh demand that all policies share."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import Row, kept, options, report, resumable
from models.inventory.hdpo import HDPOParams, mean_cost, segments_of, train
from models.inventory.instances import Instance, many_warehouses_lost, one_warehouse_lost, transshipment
from models.inventory.layout import Layout, layout_of
from models.inventory.policies.base_stock import BaseStockParams
from models.inventory.policies.build import PolicyParams, build_policy
from models.inventory.policies.capped_base_stock import CappedBaseStockParams
from models.inventory.policies.echelon_base_stock import EchelonBaseStockParams
from models.inventory.policies.graph import GraphParams
from models.inventory.policies.mlp import MLPParams
from models.inventory.scenarios import Scenarios, drawn_scenarios
from models.inventory.yardsticks.network_bound import network_bound
from models.inventory.yardsticks.transshipment import transshipment_bound
from quaestor.ope.interval import paired_interval
from quaestor.randomness import stream_seed
from quaestor.registry.canonical import digest_of

Floats = NDArray[np.float64]
GRAPH = GraphParams(window=0, calendar=0, rounds=1)
MLP = MLPParams(window=0, calendar=0)
CLASSICAL: dict[str, PolicyParams] = {
    "base stock": BaseStockParams(window=0),
    "echelon base stock": EchelonBaseStockParams(window=0),
    "capped base stock": CappedBaseStockParams(window=0),
}
WARMUP, PERIODS = 30, 50
BATCH, SEGMENTS, SHUFFLES = 128, 8, 5
DEV_PERIODS = 400
TEST_WARMUP, TEST_PERIODS = 60, 400
SAMPLES = (16, 256, 8192)
INSTANCES: dict[str, Callable[[Namespace], Instance]] = {
    "one_warehouse_lost": lambda asked: one_warehouse_lost(asked.stores, asked.seed),
    "transshipment_backlogged": lambda asked: transshipment(
        asked.stores, asked.lead_time, asked.underage, asked.correlation, asked.seed
    ),
    "many_warehouses_lost": lambda asked: many_warehouses_lost(asked.seed),
}
FRESH = 0
"""Stands for scenarios drawn anew in every epoch."""


@dataclass(frozen=True)
class Fit:
    """A policy to fit: its name, its parameters, and how many scenarios it learns from (FRESH for ever new ones)."""

    name: str
    params: PolicyParams
    scenarios: int


def main() -> None:
    """Rows: problem, stores, policy, scenarios (0: ever new), cost (a store and period), lower_bound, gap (to the
    bound, as a share of it), behind_best, behind_lower, behind_upper (cost minus the best policy's of the problem,
    95 % interval over test scenarios), from_classical and its interval (the same to the best classical policy),
    train_seconds."""
    parser = options(__doc__ or "")
    parser.add_argument("--problem", choices=INSTANCES)
    parser.add_argument("--stores", type=int, default=3)
    parser.add_argument("--lead-time", type=int, default=2, help="transshipment: periods from the cross-dock to stores")
    parser.add_argument("--underage", type=float, default=9.0, help="transshipment: cost a unit and period")
    parser.add_argument("--correlation", type=float, default=0.5, help="transshipment: of demand between stores")
    parser.add_argument("--samples", action="store_true", help="one_warehouse_lost: learn from 16, 256 and 8,192 too")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    resumable(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    steps = 24 if arguments.quick else arguments.steps
    rows = []
    for problem, make in INSTANCES.items():
        if arguments.problem not in (None, problem):
            continue
        instance = make(arguments)
        fits = [Fit("graph", GRAPH, FRESH), *(Fit(name, params, FRESH) for name, params in CLASSICAL.items())]
        if not arguments.quick:
            fits += [Fit("mlp", MLP, FRESH)]
        if arguments.samples and problem == "one_warehouse_lost":
            fits += [Fit("graph", GRAPH, count) for count in SAMPLES]
            fits += [Fit("mlp", MLP, count) for count in (*SAMPLES, 16 * SAMPLES[1])]
        rows += _compare(problem, instance, fits, steps, arguments.seed, arguments.keep)
    report(rows, arguments.json)


def _compare(problem: str, instance: Instance, fits: list[Fit], steps: int, seed: int, keep: Path | None) -> list[Row]:
    layout = layout_of(instance.network)
    name = f"{problem}-{digest_of(asdict(instance))[:12]}-{steps}-{seed}"
    bound = float(kept(keep, f"{name}-bound", lambda: _bound(problem, instance)))
    costs, took = [], []
    for fit in fits:

        def found(fit: Fit = fit) -> list[object]:
            start = time.perf_counter()
            return [_cost(layout, instance, fit, steps, seed).tolist(), time.perf_counter() - start]

        cost, seconds = kept(keep, f"{name}-{fit.name.replace(' ', '-')}-{fit.scenarios}", found)
        costs.append(np.array(cost))
        took.append(seconds)
        print(f"{problem}: {fit.name} ({fit.scenarios or 'fresh'}) {costs[-1].mean():.4f}", flush=True)
    _say_samples({(fit.name, fit.scenarios): cost for fit, cost in zip(fits, costs, strict=True)})
    best = min(costs, key=np.mean)
    classical = min((cost for fit, cost in zip(fits, costs, strict=True) if fit.name in CLASSICAL), key=np.mean)
    rows = []
    for fit, cost, seconds in zip(fits, costs, took, strict=True):
        behind, from_classical = paired_interval(cost - best), paired_interval(cost - classical)
        rows.append(
            {
                "problem": problem,
                "stores": layout.stores,
                "policy": fit.name,
                "scenarios": fit.scenarios,
                "cost": float(cost.mean()),
                "lower_bound": bound,
                "gap": float(cost.mean()) / bound - 1,
                "behind_best": behind.value,
                "behind_lower": behind.lower,
                "behind_upper": behind.upper,
                "from_classical": from_classical.value,
                "from_classical_lower": from_classical.lower,
                "from_classical_upper": from_classical.upper,
                "train_seconds": seconds,
            }
        )
    return rows


def _say_samples(costs: dict[tuple[str, int], Floats]) -> None:
    """Prints what the graph policy makes of 256 scenarios, beside what others make of more."""
    for name, scenarios in (("graph", SAMPLES[2]), ("mlp", 16 * SAMPLES[1])):
        if ("graph", SAMPLES[1]) in costs and (name, scenarios) in costs:
            other = costs[name, scenarios]
            ahead = paired_interval(costs["graph", SAMPLES[1]] - other)
            shares = [value / float(other.mean()) for value in (ahead.value, ahead.lower, ahead.upper)]
            said = "{:+.3%} (95 %: {:+.3%} to {:+.3%})".format(*shares)
            print(f"graph ({SAMPLES[1]}) against {name} ({scenarios}): {said}", flush=True)


def _cost(layout: Layout, instance: Instance, fit: Fit, steps: int, seed: int) -> Floats:
    """Trains a policy and plays it on the test scenarios that all policies share; (scenario,)."""

    def drawn(what: str, batch: int, periods: int) -> Scenarios:
        return drawn_scenarios(layout, instance.demand, batch, periods, 0, stream_seed(seed, what))

    learned = isinstance(fit.params, GraphParams | MLPParams)
    batch = min(BATCH, fit.scenarios) if fit.scenarios else BATCH
    recorded = WARMUP + PERIODS
    # Recorded periods are independent here: an epoch meets them SHUFFLES times over, and goes through them in segments.
    episode = SHUFFLES * recorded if fit.scenarios else WARMUP + SEGMENTS * PERIODS
    steps_an_epoch = max(1, fit.scenarios // batch) * len(segments_of(WARMUP, episode, PERIODS))
    epochs = max(1 if fit.scenarios else 2, round(steps / steps_an_epoch))
    params = HDPOParams(
        epochs=epochs,
        batch=batch,
        learning_rate=1e-2 if learned else 5e-2,
        segment=PERIODS,
        shuffles=SHUFFLES if fit.scenarios else 0,
        scale_exponent=0.0,
        patience=epochs,
        seed=seed,
    )
    policy = build_policy(fit.params, layout, float(np.mean(instance.demand.mean)), stream_seed(seed, "weights"))
    dev = drawn("dev", 256, WARMUP + DEV_PERIODS)
    if fit.scenarios:
        train(policy, layout, drawn("train", fit.scenarios, recorded), dev, params, WARMUP)
    else:
        train(policy, layout, lambda epoch: drawn(f"epoch {epoch}", batch, episode), dev, params, WARMUP)
    test = drawn("test", 1024, TEST_WARMUP + TEST_PERIODS)
    return np.asarray(mean_cost(layout, policy, test, TEST_WARMUP).double().numpy())


def _bound(problem: str, instance: Instance) -> float:
    if problem != "transshipment_backlogged":
        return network_bound(instance.network, instance.demand).cost
    spread = np.array(instance.demand.deviation)
    between = np.full((len(spread),) * 2, instance.demand.correlation)
    np.fill_diagonal(between, 1.0)
    (dock, *others) = instance.network.edges
    store = instance.network.stores[0]
    covariance = between * np.outer(spread, spread)
    return transshipment_bound(covariance, dock.lead_time, others[0].lead_time, store.holding_cost, store.underage_cost)


if __name__ == "__main__":
    main()
