"""What training for smoothing buys: certified cost and price of smoothing, trained with and without its noise.

Order policies are trained in two settings. Where stock readings alone are noisy, as in the study whose untuned
base-stock policy pays 6 % for noise of one unit, a policy knows what it has ordered and what is on its way from its
own books, which an attack on readings does not reach. Where every reading is noisy, pipelines and demand records are
read anew and under attack, too.
"""

from __future__ import annotations

from dataclasses import dataclass
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

UNTUNED = "untuned"
TRAINED = ("train then smooth", "noise-augmented", "certified")
DRAWS = 3


@dataclass(frozen=True)
class Setting:
    """A warehouse and its stores over some periods, of which `warmup` are not counted, and what is read with noise."""

    stores: int
    periods: int
    warmup: int
    everything: bool

    @property
    def name(self) -> str:
        """As rows have it."""
        what = "every reading" if self.everything else "stock readings"
        return f"{self.stores} stores × {self.periods} periods, noise on {what}"

    def scales(self, layout: Layout, scenarios: Scenarios) -> NoiseScales:
        """Noise in units: 1 for what is read with it, 0 elsewhere."""
        units = NoiseScales.by_place(layout, scenarios.demand.new_ones(1, layout.places))
        if self.everything:
            return units
        return NoiseScales(units.on_hand, 0 * units.in_transit, 0 * units.demand)


STOCK, EVERYTHING = Setting(10, 100, 0, False), Setting(3, 60, 20, True)
A_DAY = 400
"""Payments of an episode."""


def main() -> None:
    """Order policies of a warehouse and its stores, and payments policies of the world (reward instead of cost).

    Rows: policy, setting, training, noise_scale, budget, unsmoothed (the same policy without noise), nominal,
    certified, attacked (strongest attack tried), price_percent (of the noise, against the plainly trained policy
    without it, the untuned policy against itself) with price_lower and price_upper, and gain_percent of certified cost
    against train-then-smooth with gain_lower and gain_upper: 95 % intervals over test sets that share nothing. For
    payments noise_scale is in standard deviations, gains are of certified reward and the price is the reward that noise
    takes."""
    parser = options(__doc__)
    parser.add_argument("--noise-scale", type=float, default=1.0, help="σ in units, on every reading of stock")
    parser.add_argument("--budget", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sizes = (30, 3, 100) if arguments.quick else (400, 6, 600)
    base_stock, network = (BaseStockParams(window=0), 0.05), (MLPParams(window=0, calendar=0), 5e-3)
    policies: list[tuple[Setting, PolicyParams, float]] = [(STOCK, *base_stock), (EVERYTHING, *base_stock)]
    if not arguments.quick:
        policies += [(STOCK, *network), (EVERYTHING, *network)]
    rows: list[Row] = []
    for setting, params, rate in policies:
        rows += measure(setting, params, rate, arguments.noise_scale, arguments.budget, arguments.seed, *sizes)
    rounds, sets, episodes = (4000, 3, 60) if arguments.quick else (20_000, 6, 300)
    for oracle in (LogisticParams(), AdditiveParams()):
        rows += payments(oracle, arguments.noise_scale, arguments.budget, arguments.seed, rounds, sets, episodes)
    report(rows, arguments.json)


def measure(
    setting: Setting,
    params: PolicyParams,
    rate: float,
    noise_scale: float,
    budget: float,
    seed: int,
    steps: int,
    sets: int,
    traces: int,
) -> list[Row]:
    """A row for each way of training one policy, and one for a base-stock policy that is not trained at all."""
    instance, warmup = one_warehouse_lost(setting.stores, seed), setting.warmup
    layout = layout_of(instance.network)
    draw = partial(drawn_scenarios, layout, instance.demand)
    train, dev = draw(1024, setting.periods, 0, seed + 1), draw(128, setting.periods, 0, seed + 2)
    scales = partial(setting.scales, layout)
    ratio = budget / noise_scale
    bounds, nominal, bare, attacked = {}, {}, {}, {}
    cap = 0.0
    ways = (*TRAINED, UNTUNED) if isinstance(params, BaseStockParams) else TRAINED
    for name in ways:
        policy = build_policy(params, layout, float(train.demand.mean()), seed)
        if name != UNTUNED:
            sigma = 0.0 if name == TRAINED[0] else noise_scale
            wanted = budget if name == TRAINED[2] else 0.0
            training = SmoothedTrainingParams(wanted, steps=steps, learning_rate=rate, seed=seed)
            train_smoothed(policy, SmoothedGame(layout, scales(train), sigma, warmup), train, dev, training)
        play = partial(trace_costs, layout, policy, scales=scales, warmup=warmup)
        if not cap:  # declared from the dev traces of the plainly trained policy
            cap = 3 * float(play(partial(_rows, dev), noise_scale=0.0, count=128, draws=1, seed=0).mean())
        costs, plain = [], []
        for number in range(sets):
            rows_of = partial(_rows, draw(traces, setting.periods, 0, 1000 * (seed + 1) + number))
            costs.append(play(rows_of, noise_scale=noise_scale, count=traces, draws=DRAWS, seed=number))
            plain.append(float(play(rows_of, noise_scale=0.0, count=traces, draws=1, seed=0).mean()))
        bounds[name] = np.array([per_trace(each, cap, np.array([ratio]), 0.05)[0] for each in costs])
        nominal[name], bare[name] = np.array([each.mean() for each in costs]), np.array(plain)
        some = draw(64, setting.periods, 0, 1000 * (seed + 1))
        uphill = steepest(
            layout, policy, some, scales(some), noise_scale, budget, False, warmup, seed, steps=3, draws=2
        )
        hit = play(partial(_rows, some), noise_scale=noise_scale, count=64, draws=1, seed=7, attack=uphill)
        quiet = play(partial(_rows, some), noise_scale=noise_scale, count=64, draws=1, seed=7)
        attacked[name] = nominal[name].mean() + float((hit - quiet).mean())
    return [
        row(
            params.kind, setting.name, name, noise_scale, budget, bare, nominal, bounds, attacked,
            1 - bounds[name] / bounds[TRAINED[0]],
        )
        for name in ways
    ]  # fmt: skip


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
        nominal[name], bare[name] = np.array([each.mean() for each in earned]), np.array(plain)
        attacked[name] = nominal[name].mean() + float(np.mean(hit))
    return [
        row(f"payments, {oracle.kind}", f"{A_DAY} payments", name, noise_scale, budget, bare, nominal, bounds, attacked,
            bounds[name] / bounds[TRAINED[0]] - 1, sign=-1)
        for name in TRAINED[:2]
    ]  # fmt: skip


def row(
    policy: str,
    setting: str,
    name: str,
    noise_scale: float,
    budget: float,
    bare: dict[str, np.ndarray],
    nominal: dict[str, np.ndarray],
    bounds: dict[str, np.ndarray],
    attacked: dict[str, float],
    gains: np.ndarray,
    sign: int = 1,
) -> Row:
    """A row; bare, nominal, bounds and gains of each test set, gains as a share. sign: −1 where more is better."""
    price = mean_and_interval(100 * sign * (nominal[name] / bare[UNTUNED if name == UNTUNED else TRAINED[0]] - 1))
    gain = mean_and_interval(100 * gains)
    return {
        "policy": policy,
        "setting": setting,
        "training": name,
        "noise_scale": noise_scale,
        "budget": budget,
        "unsmoothed": float(bare[name].mean()),
        "nominal": float(nominal[name].mean()),
        "certified": float(bounds[name].mean()),
        "attacked": attacked[name],
        **dict(zip(("price_percent", "price_lower", "price_upper"), price, strict=True)),
        **dict(zip(("gain_percent", "gain_lower", "gain_upper"), gain, strict=True)),
    }


def mean_and_interval(values: np.ndarray) -> tuple[float, float, float]:
    """The mean of a value for each test set and its 95 % interval."""
    mean = float(values.mean())
    reach = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return mean, mean - reach, mean + reach


def _rows(scenarios: Scenarios, first: int, count: int) -> Scenarios:
    return scenarios.rows(torch.arange(first, first + count))


if __name__ == "__main__":
    main()
