"""HDPO on recorded weekly sales with the profit objective, on weeks 150 to 170, which nothing was fitted on.

6,048 series of one store each, against the newsvendor family on a learned forecast; and 288 products in three
warehouses and 21 stores, against newsvendors and base stock fitted by the same gradients. Both against the clairvoyant.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from benchmarks import Row, options, report
from models.inventory.hdpo import HDPOParams, mean_cost, train
from models.inventory.layout import Layout, Terms, layout_of, with_terms
from models.inventory.network import Edge, Network, Node, read_network
from models.inventory.policies.base_stock import BaseStockParams
from models.inventory.policies.build import PolicyParams, build_policy
from models.inventory.policies.echelon_base_stock import EchelonBaseStockParams
from models.inventory.policies.forecast_newsvendor import ForecastNewsvendorPolicy, ForecastParams, fit_forecaster
from models.inventory.policies.graph import GraphParams
from models.inventory.policies.mlp import MLPParams
from models.inventory.policies.newsvendor import NewsvendorParams
from models.inventory.rollout import OrderPolicy
from models.inventory.scenarios import Scenarios, scenarios_from_demand
from models.inventory.yardsticks.clairvoyant import clairvoyant_cost
from quaestor.log.demand import days_from_christmas
from quaestor.log.lookalike.favorita import write_favorita
from quaestor.ope.interval import paired_interval
from quaestor.randomness import generator, stream_seed

HISTORY, WARMUP = 16, 16
TRAIN, DEV, TEST = (0, 111), (88, 141), (118, 171)
NETWORK = Path(__file__).parents[1] / "data/studies/inventory/favorita.network.toml"
Floats = NDArray[np.float64]


def main() -> None:
    """Rows: problem, policy, profit (per store, a series or product, and week), share_of_clairvoyant, behind_hdpo,
    behind_lower, behind_upper (HDPO's profit minus this policy's, 95 % interval over series or products),
    train_seconds."""
    parser = options(__doc__ or "")
    parser.add_argument("--data", type=Path, help="folder with favorita_weekly_sales.parquet; absent: look-alikes")
    parser.add_argument("--problem", choices=("real_one_store", "real_many_warehouses"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="30 for one store, 60 for the network")
    parser.add_argument("--programs", type=int, default=24, help="products whose clairvoyant is solved (network)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.data is None:
            write_favorita(Path(folder), arguments.seed)
        demand, calendar = _recorded(arguments.data or Path(folder))
    rows = []
    if arguments.problem != "real_many_warehouses":
        series = demand.reshape(-1, demand.shape[2])[:: 12 if arguments.quick else 1]
        layout = _layout(len(series), arguments.seed)
        epochs = arguments.epochs or (12 if arguments.quick else 30)
        rows += _one_store(layout, *_windows(layout, series[:, None], calendar, arguments.seed), epochs, arguments.seed)
    if arguments.problem != "real_one_store":
        products = demand[:: 36 if arguments.quick else 1]
        layout = layout_of(read_network(NETWORK))
        epochs = arguments.epochs or (3 if arguments.quick else 60)
        windows = _windows(layout, products, calendar, arguments.seed)
        rows += _many_warehouses(layout, *windows, epochs, 2 if arguments.quick else arguments.programs, arguments.seed)
    report(rows, arguments.json)


def _windows(layout: Layout, demand: Floats, calendar: Floats, seed: int) -> tuple[Scenarios, Scenarios, Scenarios]:
    train_on, dev, test = (
        scenarios_from_demand(layout, demand[:, :, first:end], calendar[first:end], HISTORY, seed)
        for first, end in (TRAIN, DEV, TEST)
    )
    return train_on, dev, test


def _many_warehouses(
    layout: Layout, train_on: Scenarios, dev: Scenarios, test: Scenarios, epochs: int, programs: int, seed: int
) -> list[Row]:
    revenue = _revenue(layout, test)
    learned = GraphParams(window=HISTORY, calendar=1)
    fits: dict[str, tuple[PolicyParams, HDPOParams]] = {
        "HDPO, graph": (learned, HDPOParams(epochs, batch=36, learning_rate=3e-3, patience=epochs, seed=seed))
    }
    few = HDPOParams(max(epochs // 2, 2), batch=36, learning_rate=0.05, seed=seed)
    classical: dict[str, PolicyParams] = {
        "newsvendor": NewsvendorParams(window=HISTORY),
        "newsvendor, learned quantile": NewsvendorParams(quantile="learned", window=HISTORY),
        "base stock": BaseStockParams(window=HISTORY),
        "echelon base stock": EchelonBaseStockParams(window=HISTORY),
    }
    fits |= {name: (params, few) for name, params in classical.items()}
    profits, took = {}, {}
    for name, (params, hdpo) in fits.items():
        start = time.perf_counter()
        policy = build_policy(params, layout, float(train_on.demand.mean()), stream_seed(seed, "weights"))
        if any(weight.requires_grad for weight in policy.parameters()):
            train(policy, layout, train_on, dev, hdpo, WARMUP)
        profits[name] = revenue - mean_cost(layout, policy, test, WARMUP).double().numpy()
        took[name] = time.perf_counter() - start
        print(f"real_many_warehouses: {name} {profits[name].mean():.2f}", flush=True)
    # A linear program takes seconds: the clairvoyant's share is taken on some of the products, for every policy alike.
    some = torch.linspace(0, test.batch - 1, min(programs, test.batch)).round().long()
    best = revenue[some] - clairvoyant_cost(layout, test.rows(some), WARMUP).double().numpy()
    shares = {name: float(found[some].mean() / best.mean()) for name, found in profits.items()}
    return _rows("real_many_warehouses", profits, shares, took, "HDPO, graph")


def _one_store(
    layout: Layout, train_on: Scenarios, dev: Scenarios, test: Scenarios, epochs: int, seed: int
) -> list[Row]:
    revenue = _revenue(layout, test)  # ordering just in time sells it all and keeps nothing

    def profit(policy: OrderPolicy) -> Floats:
        return revenue - mean_cost(layout, policy, test, WARMUP).double().numpy()

    start = time.perf_counter()
    params = MLPParams(width=64, hidden=3, window=HISTORY, calendar=1, terms=True)
    learned = build_policy(params, layout, float(train_on.demand.mean()), stream_seed(seed, "weights"))
    hdpo = HDPOParams(epochs=epochs, batch=512, learning_rate=3e-3, scale_exponent=0.0, patience=epochs, seed=seed)
    train(learned, layout, train_on, dev, hdpo, WARMUP)
    profits, took = {"HDPO, perceptron": profit(learned)}, {"HDPO, perceptron": time.perf_counter() - start}
    start = time.perf_counter()
    forecaster = fit_forecaster(layout, train_on, ForecastParams(window=HISTORY, seed=seed))
    fitting = time.perf_counter() - start
    family = {
        "newsvendor, returns allowed": ForecastNewsvendorPolicy(forecaster, "ratio", returns=True),
        "newsvendor": ForecastNewsvendorPolicy(forecaster, "ratio"),
        "newsvendor, one quantile": ForecastNewsvendorPolicy(forecaster, "fixed"),
        "newsvendor, learned quantile": ForecastNewsvendorPolicy(forecaster, "learned"),
    }
    few = HDPOParams(epochs=10, batch=512, learning_rate=0.1, scale_exponent=0.0, seed=seed)
    for name, policy in family.items():
        start = time.perf_counter()
        if policy.level != "ratio":
            train(policy, layout, train_on, dev, few, WARMUP)
        profits[name], took[name] = profit(policy), fitting + time.perf_counter() - start
    profits["clairvoyant"], took["clairvoyant"] = revenue, 0.0
    bar = profits["clairvoyant"].mean()
    shares = {name: float(found.mean() / bar) for name, found in profits.items()}
    return _rows("real_one_store", profits, shares, took, "HDPO, perceptron")


def _rows(
    problem: str, profits: dict[str, Floats], shares: dict[str, float], took: dict[str, float], ours: str
) -> list[Row]:
    rows = []
    for name, found in profits.items():
        behind = paired_interval(profits[ours] - found)
        rows.append(
            {
                "problem": problem,
                "policy": name,
                "profit": float(found.mean()),
                "share_of_clairvoyant": shares[name],
                "behind_hdpo": behind.value,
                "behind_lower": behind.lower,
                "behind_upper": behind.upper,
                "train_seconds": took[name],
            }
        )
    return rows


def _revenue(layout: Layout, scenarios: Scenarios) -> Floats:
    """What selling all that is asked for would bring per store and week, (batch,)."""
    asked = scenarios.demand[:, :, scenarios.history + WARMUP :].double().mean(dim=2)
    return np.asarray((layout.underage_cost.double() * asked).mean(dim=1).numpy())


def _layout(series: int, seed: int) -> Layout:
    """One store a scenario, each with its own underage cost from U[6.3, 11.7] and lead time of 4, 5 or 6 weeks."""
    chance = generator(seed, "terms of the real series")
    network = Network(
        "one-store", "lost", (Node("supplier", "supplier"), Node("store", "store", 1.0, 9.0)),
        (Edge("supplier", "store", 6),),
    )  # fmt: skip
    known = torch.zeros(1, 1)
    underage = torch.from_numpy(chance.uniform(6.3, 11.7, (series, 1))).float()
    lead_time = torch.from_numpy(chance.integers(4, 7, (series, 1)))
    return with_terms(layout_of(network), Terms(torch.ones(1, 1), underage, known, lead_time, known, known))


def _recorded(folder: Path) -> tuple[Floats, Floats]:
    """Demand (product, store, week), returns clipped, and days from Christmas in hundreds (week, 1)."""
    sales = pl.read_parquet(folder / "favorita_weekly_sales.parquet").sort("product", "store", "week")
    stores, weeks = sales["store"].n_unique(), sales["week"].n_unique()
    dates = pl.read_csv(folder / "favorita_weeks.csv", try_parse_dates=True)["date"].head(weeks)
    units = sales["units"].to_numpy().astype(np.float64).reshape(-1, stores, weeks)
    return np.maximum(units, 0.0), days_from_christmas(tuple(dates))[:, None] / 100


if __name__ == "__main__":
    main()
