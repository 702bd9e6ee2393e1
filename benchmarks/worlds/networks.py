"""Many small supply networks with demand of their own, as studies and a file of records: what a chain of shops has."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

WEEKS, PRODUCTS = 84, 4

NETWORK = """name = "shop"
unmet_demand = "lost"
nodes = [
    {{ name = "supplier", kind = "supplier" }},
    {{ name = "shop", kind = "store", holding_cost = 1.0, underage_cost = {underage:.2f} }},
]
edges = [{{ source = "supplier", target = "shop", lead_time = {lead} }}]
"""

STUDY = """kind = "inventory"
system = "{system}"
network = "{system}.network.toml"

[windows]
train = [0, 44]
dev = [36, 64]
test = [56, 84]
history = 4
warmup = 4

[policy]
kind = "mlp"
hidden = 1
width = 16
window = 4

[hdpo]
epochs = {epochs}
batch = 4
learning_rate = 1e-2
seed = {seed}

[yardsticks]
epochs = {epochs}
batch = 4
learning_rate = 0.05

[certificate]
noise_scale = 0.05
budgets = [0.05]
episodes = 100

[gate]
certified_budget = 0.05
minimum_pairs = 4
"""


def write_networks(folder: Path, count: int, seed: int, epochs: int = 20) -> Path:
    """Writes a study and a network for each system into a folder, and their demand into one file; returns that."""
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        system = f"shop-{number:06d}"
        network = NETWORK.format(underage=draw.uniform(4, 20), lead=int(draw.integers(1, 4)))
        (folder / f"{system}.network.toml").write_text(network)
        (folder / f"{system}.toml").write_text(STUDY.format(system=system, seed=number, epochs=epochs))
    means = draw.lognormal(3.0, 0.5, (count, PRODUCTS, 1))
    units = draw.poisson(np.repeat(means, WEEKS, axis=2))
    shops, products, weeks = (axis.ravel() for axis in np.indices(units.shape))
    begins = np.array([date(2024, 1, 1) + timedelta(weeks=each) for each in range(WEEKS)])
    path = folder / "demand.parquet"
    pl.DataFrame(
        {
            "system": [f"shop-{each:06d}" for each in shops],
            "product": [f"p{each}" for each in products],
            "store": "shop",
            "period": weeks,
            "starts_on": pl.Series(begins[weeks].tolist()),
            "units": units.ravel().astype(np.float64),
        }
    ).write_parquet(path)
    return path
