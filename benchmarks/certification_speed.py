"""How long certificates take: smoothed rollouts of a supply network and of a payments day, and the bound itself."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

import numpy as np
import polars as pl
import torch

from benchmarks import Row, options, peak_bytes, report, seconds
from models.inventory.instances import one_warehouse_lost
from models.inventory.layout import layout_of
from models.inventory.policies.build import build_policy
from models.inventory.policies.mlp import MLPParams
from models.inventory.scenarios import Scenarios, drawn_scenarios
from models.payments.refit import RefitParams, refit
from models.payments.world import Payments, PaymentsWorld, WorldParams, decision_log
from models.smoothing.inventory import trace_costs
from models.smoothing.noise import NoiseScales
from models.smoothing.payments import Replay, episode_rewards
from quaestor.certification.bounds import BOUNDS
from quaestor.export.payments_policy import PaymentsPolicy, draw
from quaestor.log.batch import MaturedBatch
from quaestor.log.maturity import MaturityParams, judge, matured_batch

STORES, PERIODS = 10, 100


def main() -> None:
    """Rows: work, episodes, seconds (wall), cpu_seconds, one_at_a_time_seconds (the same episodes played singly,
    extrapolated from 20; None where it is not asked), peak_bytes. Rollouts are timed once loaded, demand drawn."""
    parser = options(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--million", action="store_true", help="also 10⁶ episodes of the network, in a process apart")
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.alone:
        report([network(arguments.alone, False, repeats=1, held=False)], arguments.json)
        return
    rows = [network(1000 if arguments.quick else 10_000, True), *bounds(10_000 if arguments.quick else 100_000)]
    rows.append(payments(5 if arguments.quick else 1000))
    report(rows, arguments.json)
    if arguments.million:
        command = [sys.executable, "-m", "benchmarks.certification_speed", "--alone", "1000000"]
        subprocess.run([*command, "--threads", str(arguments.threads)], check=True)


def network(episodes: int, singly: bool, repeats: int = 3, held: bool = True) -> Row:
    """Smoothed episodes of an MLP policy on ten stores and a warehouse, each with demand of its own."""
    instance = one_warehouse_lost(STORES, 0)
    layout = layout_of(instance.network)
    policy = build_policy(MLPParams(window=0, calendar=0), layout, 5.0, 0)
    once = drawn_scenarios(layout, instance.demand, min(episodes, 10_000), PERIODS, 0, 1)

    def traces(first: int, count: int) -> Scenarios:
        if held:
            return once.rows(torch.arange(first, first + count))
        return drawn_scenarios(layout, instance.demand, count, PERIODS, 0, first)

    def scales(rows: Scenarios) -> NoiseScales:
        return NoiseScales.by_place(layout, rows.demand.new_ones(1, layout.places))

    play = partial(trace_costs, layout, policy, traces, scales, 1.0, draws=1, warmup=0, seed=0)
    alone = None
    if singly:
        took = seconds(lambda: [play(count=1) for _ in range(20)], 1)
        alone = took / 20 * episodes
    name = f"{STORES} stores + warehouse × {PERIODS} periods, MLP"
    return timed(name, episodes, partial(play, count=episodes), alone, repeats)


def bounds(episodes: int) -> list[Row]:
    """Every bound at 50 budgets."""
    costs = np.random.default_rng(0).gamma(16, 100 / 16, episodes)
    ratios = np.linspace(0.05, 2.0, 50)
    return [
        timed(f"{name}, 50 budgets", episodes, partial(bound, costs, 400.0, ratios, 0.05), None)
        for name, bound in BOUNDS.items()
    ]


def payments(episodes: int, a_day: int = 100_000) -> Row:
    """Days of a payments policy over the world's eight actions and six numbers."""
    replay, policy = payments_policy(20_000)
    work = partial(episode_rewards, policy, replay, a_day, episodes, 0)
    return timed(f"a payments day of {a_day:,} decisions", episodes, work, None, 1)


def payments_policy(rounds: int) -> tuple[Replay, PaymentsPolicy]:
    """A logistic policy fitted on uniformly explored rounds of the payments world, and what its episodes replay."""
    world = PaymentsWorld(WorldParams())
    seen = world.payments(rounds, 0, "speed")
    fitted = refit(explored(world, seen, 0), RefitParams("none"), 0.1, "speed")
    policy = PaymentsPolicy(fitted.graph, fitted.spec)
    return Replay(policy.encode(seen.context()), seen.eligible, world.success(seen)), policy


def explored(world: PaymentsWorld, seen: Payments, seed: int) -> MaturedBatch:
    """Payments decided uniformly at random, all closed."""
    uniform = seen.eligible / seen.eligible.sum(axis=1, keepdims=True)
    action = draw(uniform, np.random.default_rng(seed).random(len(uniform)))
    decisions = decision_log(seen, uniform, action, "speed", "uniform").with_columns(
        pl.col("decided_at").dt.replace_time_zone(None), fallback=pl.lit(False)
    )
    outcomes = world.outcomes(seen, action, "speed").with_columns(
        pl.col("observed_at").dt.replace_time_zone(None), revision=pl.lit(0)
    )
    params = MaturityParams(attribution_hours=72, default_reward=0.0)
    return matured_batch(judge(decisions, outcomes, params, datetime(2027, 1, 1)))


def timed(work: str, episodes: int, run: Callable[[], object], alone: float | None, repeats: int = 3) -> Row:
    """A row; the time is the shortest of the repeats."""
    before = _cpu()
    start = time.perf_counter()
    run()
    first, used = time.perf_counter() - start, _cpu() - before
    best = min(first, seconds(run, repeats - 1)) if repeats > 1 else first
    return {
        "work": work,
        "episodes": episodes,
        "seconds": best,
        "cpu_seconds": used,
        "one_at_a_time_seconds": alone,
        "peak_bytes": peak_bytes(),
    }


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
