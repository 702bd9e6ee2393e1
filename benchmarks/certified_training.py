"""What training for smoothing buys: certified cost and price of smoothing, trained with and without its noise."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from scipy.stats import t as student

from benchmarks import Row, options, report
from benchmarks.certification_speed import explored
from models.inventory.instances import one_warehouse_lost
from models.inventory.layout import Layout, layout_of
from models.inventory.policies.base_stock import BaseStockParams
from models.inventory.policies.build import PolicyParams, build_policy
from models.inventory.policies.mlp import MLPParams
from models.inventory.scenarios import Scenarios, drawn_scenarios
from models.payments.oracles.additive import AdditiveParams
from models.payments.oracles.fit import OracleParams
from models.payments.oracles.logistic import LogisticParams
from models.payments.refit import RefitParams, refit
from models.payments.world import PaymentsWorld, WorldParams
from models.smoothing.inventory import trace_costs
from models.smoothing.inventory_attacks import steepest
from models.smoothing.noise import NoiseScales
from models.smoothing.payments import Replay, Steepest, episode_rewards
from models.smoothing.training import SmoothedGame, SmoothedTrainingParams, train_smoothed
from quaestor.certification.per_trace import per_trace
from quaestor.export.payments_policy import PaymentsPolicy

PERIODS, WARMUP, STORES = 60, 20, 3
TRAINED = ("train then smooth", "noise-augmented", "certified")
DRAWS = 3
A_DAY = 400
"""Payments of an episode."""


def main() -> None:
    """Order policies of a warehouse and its stores, and payments policies of the world (reward instead of cost).

    Rows: policy, training, noise_scale, budget, unsmoothed (the same policy without noise), nominal, certified,
    attacked (strongest attack tried), price_percent (of the noise, against the plainly trained policy without it),
    gain_percent of certified cost against train-then-smooth with its 95 % interval gain_lower and gain_upper, over
    test sets that share nothing. For payments noise_scale is in standard deviations, gains are of certified reward
    and the price is the reward that noise takes."""
    parser = options(__doc__)
    parser.add_argument("--noise-scale", type=float, default=1.0, help="σ in units, on every reading of stock")
    parser.add_argument("--budget", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sizes = (60, 3, 120) if arguments.quick else (400, 6, 600)
    policies: list[tuple[PolicyParams, float]] = [(BaseStockParams(window=0), 0.05)]
    if not arguments.quick:
        policies.append((MLPParams(window=0, calendar=0), 5e-3))
    rows: list[Row] = []
    for params, rate in policies:
        rows += measure(params, rate, arguments.noise_scale, arguments.budget, arguments.seed, *sizes)
    rounds, sets, episodes = (4000, 3, 60) if arguments.quick else (20_000, 6, 300)
    for oracle in (LogisticParams(), AdditiveParams()):
        rows += payments(oracle, arguments.noise_scale, arguments.budget, arguments.seed, rounds, sets, episodes)
    report(rows, arguments.json)


def measure(
    params: PolicyParams, rate: float, noise_scale: float, budget: float, seed: int, steps: int, sets: int, traces: int
) -> list[Row]:
    """A row for each way of training one policy."""
    instance = one_warehouse_lost(STORES, seed)
    layout = layout_of(instance.network)
    draw = partial(drawn_scenarios, layout, instance.demand)
    train, dev = draw(1024, PERIODS, 0, seed + 1), draw(128, PERIODS, 0, seed + 2)
    scales, shared = partial(units, layout), NoiseScales.by_place(layout, torch.ones(1, layout.places))
    ratio = budget / noise_scale
    bounds, nominal, bare, attacked = {}, {}, {}, {}
    cap = 0.0
    for name in TRAINED:
        policy = build_policy(params, layout, float(train.demand.mean()), seed)
        sigma = 0.0 if name == TRAINED[0] else noise_scale
        wanted = budget if name == TRAINED[2] else 0.0
        training = SmoothedTrainingParams(wanted, steps=steps, learning_rate=rate, seed=seed)
        train_smoothed(policy, SmoothedGame(layout, shared, sigma, WARMUP), train, dev, training)
        play = partial(trace_costs, layout, policy, scales=scales, warmup=WARMUP)
        if not cap:  # declared from the dev traces of the plainly trained policy
            cap = 3 * float(
                play(lambda f, c: dev.rows(torch.arange(f, f + c)), noise_scale=0.0, count=128, draws=1, seed=0).mean()
            )
        costs, plain = [], []
        for number in range(sets):
            test = draw(traces, PERIODS, 0, 1000 * (seed + 1) + number)
            rows_of = partial(_rows, test)
            costs.append(play(rows_of, noise_scale=noise_scale, count=traces, draws=DRAWS, seed=number))
            plain.append(play(rows_of, noise_scale=0.0, count=traces, draws=1, seed=0).mean())
        bounds[name] = np.array([per_trace(each, cap, np.array([ratio]), 0.05)[0] for each in costs])
        nominal[name], bare[name] = float(np.mean(costs)), float(np.mean(plain))
        some = draw(64, PERIODS, 0, 1000 * (seed + 1))
        uphill = steepest(
            layout, policy, some, scales(some), noise_scale, budget, False, WARMUP, seed, steps=3, draws=2
        )
        hit = play(partial(_rows, some), noise_scale=noise_scale, count=64, draws=1, seed=7, attack=uphill)
        quiet = play(partial(_rows, some), noise_scale=noise_scale, count=64, draws=1, seed=7)
        attacked[name] = nominal[name] + float((hit - quiet).mean())
    return [
        row(
            params.kind,
            name,
            noise_scale,
            budget,
            bare,
            nominal,
            bounds,
            attacked,
            1 - bounds[name] / bounds[TRAINED[0]],
        )
        for name in TRAINED
    ]


def payments(
    oracle: OracleParams, noise_scale: float, budget: float, seed: int, rounds: int, sets: int, episodes: int
) -> list[Row]:
    """A row for the oracle as it is and one for the oracle taught with the noise."""
    world = PaymentsWorld(WorldParams(seed=seed))
    batch = explored(world, world.payments(rounds, 0, "teach"), seed)
    ratio = np.array([budget / noise_scale])
    bounds, nominal, bare, attacked = {}, {}, {}, {}
    for name, copies in zip(TRAINED[:2], (0, 4), strict=True):
        fitted = refit(batch, RefitParams("none", oracle=oracle, noisy_copies=copies, seed=seed), noise_scale, "price")
        policy = PaymentsPolicy(fitted.graph, fitted.spec)
        earned, plain, hit = [], [], []
        for number in range(sets):
            seen = world.payments(20_000, rounds, f"test {number}")
            replay = Replay(policy.encode(seen.context()), seen.eligible, world.success(seen))
            play = partial(episode_rewards, policy, replay, A_DAY, seed=number)
            earned.append(play(episodes=episodes * DRAWS, draws=DRAWS).reshape(-1, DRAWS))
            plain.append(play(episodes=episodes, smoothed=False).mean())
            hit.append(play(episodes=20, attack=Steepest(budget, noise_scale)).mean() - play(episodes=20).mean())
        bounds[name] = np.array([1 - per_trace(1 - each, 1.0, ratio, 0.05)[0] for each in earned])
        nominal[name], bare[name] = float(np.mean(earned)), float(np.mean(plain))
        attacked[name] = nominal[name] + float(np.mean(hit))
    return [
        row(f"payments, {oracle.kind}", name, noise_scale, budget, bare, nominal, bounds, attacked,
            bounds[name] / bounds[TRAINED[0]] - 1, sign=-1)
        for name in TRAINED[:2]
    ]  # fmt: skip


def row(
    policy: str,
    name: str,
    noise_scale: float,
    budget: float,
    bare: dict[str, float],
    nominal: dict[str, float],
    bounds: dict[str, np.ndarray],
    attacked: dict[str, float],
    gains: np.ndarray,
    sign: int = 1,
) -> Row:
    """A row; gains: of each test set, as a share. sign: −1 where more is better."""
    reach = float(student.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / len(gains) ** 0.5)
    return {
        "policy": policy,
        "training": name,
        "noise_scale": noise_scale,
        "budget": budget,
        "unsmoothed": bare[name],
        "nominal": nominal[name],
        "certified": float(bounds[name].mean()),
        "attacked": attacked[name],
        "price_percent": 100 * sign * (nominal[name] / bare[TRAINED[0]] - 1),
        "gain_percent": 100 * float(gains.mean()),
        "gain_lower": 100 * (float(gains.mean()) - reach),
        "gain_upper": 100 * (float(gains.mean()) + reach),
    }


def units(layout: Layout, scenarios: Scenarios) -> NoiseScales:
    """Noise measured in units, the same for every reading."""
    return NoiseScales.by_place(layout, scenarios.demand.new_ones(scenarios.batch, layout.places))


def _rows(scenarios: Scenarios, first: int, count: int) -> Scenarios:
    return scenarios.rows(torch.arange(first, first + count))


if __name__ == "__main__":
    main()
