"""What training for smoothing buys: certified cost and price of smoothing, trained with and without its noise."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from scipy.stats import t as student

from benchmarks import Row, options, report
from models.inventory.instances import one_warehouse_lost
from models.inventory.layout import Layout, layout_of
from models.inventory.policies.base_stock import BaseStockParams
from models.inventory.policies.build import PolicyParams, build_policy
from models.inventory.policies.mlp import MLPParams
from models.inventory.scenarios import Scenarios, drawn_scenarios
from models.smoothing.inventory import trace_costs
from models.smoothing.inventory_attacks import steepest
from models.smoothing.noise import NoiseScales
from models.smoothing.training import SmoothedGame, SmoothedTrainingParams, train_smoothed
from quaestor.certification.per_trace import per_trace

PERIODS, WARMUP, STORES = 60, 20, 3
TRAINED = ("train then smooth", "noise-augmented", "certified")
DRAWS = 3


def main() -> None:
    """Rows: policy, training, noise_scale, budget, unsmoothed (the same policy without noise), nominal, certified,
    attacked (strongest attack tried), price_percent (of the noise, against the plainly trained policy without it),
    gain_percent of certified cost against train-then-smooth with its 95 % interval gain_lower and gain_upper, over
    test sets that share nothing."""
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
    base = bounds[TRAINED[0]]
    made = []
    for name in TRAINED:
        gains = 100 * (1 - bounds[name] / base)
        reach = float(student.ppf(0.975, sets - 1) * gains.std(ddof=1) / sets**0.5)
        made.append(
            {
                "policy": params.kind,
                "training": name,
                "noise_scale": noise_scale,
                "budget": budget,
                "unsmoothed": bare[name],
                "nominal": nominal[name],
                "certified": float(bounds[name].mean()),
                "attacked": attacked[name],
                "price_percent": 100 * (nominal[name] / bare[TRAINED[0]] - 1),
                "gain_percent": float(gains.mean()),
                "gain_lower": float(gains.mean()) - reach,
                "gain_upper": float(gains.mean()) + reach,
            }
        )
    return made


def units(layout: Layout, scenarios: Scenarios) -> NoiseScales:
    """Noise measured in units, the same for every reading."""
    return NoiseScales.by_place(layout, scenarios.demand.new_ones(scenarios.batch, layout.places))


def _rows(scenarios: Scenarios, first: int, count: int) -> Scenarios:
    return scenarios.rows(torch.arange(first, first + count))


if __name__ == "__main__":
    main()
