"""HDPO on recorded weekly sales: 6,048 series of one store each with the profit objective, against the newsvendor
family on a learned forecast and the clairvoyant; weeks 150 to 170, which nothing was fitted on."""

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
from models.inventory.network import Edge, Network, Node
from models.inventory.policies.build import build_policy
from models.inventory.policies.forecast_newsvendor import ForecastNewsvendorPolicy, ForecastParams, fit_forecaster
from models.inventory.policies.mlp import MLPParams
from models.inventory.rollout import OrderPolicy
from models.inventory.scenarios import Scenarios, scenarios_from_demand
from quaestor.log.demand import days_from_christmas
from quaestor.log.lookalike.favorita import write_favorita
from quaestor.ope.interval import paired_interval
from quaestor.randomness import generator, stream_seed

HISTORY, WARMUP = 16, 16
TRAIN, DEV, TEST = (0, 111), (88, 141), (118, 171)
Floats = NDArray[np.float64]


def main() -> None:
    """Rows: policy, profit (a series and week), share_of_clairvoyant, behind_hdpo, behind_lower, behind_upper (HDPO's
    profit minus this policy's, 95 % interval over series), train_seconds."""
    parser = options(__doc__ or "")
    parser.add_argument("--data", type=Path, help="folder with favorita_weekly_sales.parquet; absent: look-alikes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.data is None:
            write_favorita(Path(folder), arguments.seed)
        demand, calendar = _recorded(arguments.data or Path(folder))
    if arguments.quick:
        demand, arguments.epochs = demand[::12], 12
    layout = _layout(len(demand), arguments.seed)
    train_on, dev, test = (
        scenarios_from_demand(layout, demand[:, None, first:end], calendar[first:end], HISTORY, arguments.seed)
        for first, end in (TRAIN, DEV, TEST)
    )
    report(_compare(layout, train_on, dev, test, arguments.epochs, arguments.seed), arguments.json)


def _compare(layout: Layout, train_on: Scenarios, dev: Scenarios, test: Scenarios, epochs: int, seed: int) -> list[Row]:
    def profit(policy: OrderPolicy) -> Floats:
        return _most(layout, test) - mean_cost(layout, policy, test, WARMUP).double().numpy()

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
    profits["clairvoyant"], took["clairvoyant"] = _most(layout, test), 0.0
    best, bar = profits["HDPO, perceptron"], profits["clairvoyant"].mean()
    rows = []
    for name, found in profits.items():
        behind = paired_interval(best - found)
        rows.append(
            {
                "policy": name,
                "profit": float(found.mean()),
                "share_of_clairvoyant": float(found.mean() / bar),
                "behind_hdpo": behind.value,
                "behind_lower": behind.lower,
                "behind_upper": behind.upper,
                "train_seconds": took[name],
            }
        )
    return rows


def _most(layout: Layout, scenarios: Scenarios) -> Floats:
    """Profit a week of ordering just in time, knowing all demand: every unit sold, none kept; (batch,)."""
    sold = scenarios.demand[:, 0, scenarios.history + WARMUP :].double().mean(dim=1)
    return np.asarray(layout.underage_cost[:, 0].double().numpy() * sold.numpy())


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
    """Demand (series, week), returns clipped, and days from Christmas in hundreds (week, 1)."""
    sales = pl.read_parquet(folder / "favorita_weekly_sales.parquet").sort("product", "store", "week")
    weeks = sales["week"].n_unique()
    dates = pl.read_csv(folder / "favorita_weeks.csv", try_parse_dates=True)["date"].head(weeks)
    units = sales["units"].to_numpy().astype(np.float64).reshape(-1, weeks)
    return np.maximum(units, 0.0), days_from_christmas(tuple(dates))[:, None] / 100


if __name__ == "__main__":
    main()
