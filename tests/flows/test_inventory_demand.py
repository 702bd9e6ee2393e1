"""Whose demand a study learns from: whole products, single series on terms of their own, and censored sales."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from flows.inventory_problem import load_problem
from flows.inventory_study import read_inventory_study
from quaestor.errors import UsageError
from quaestor.log.ingest import ingest_file
from quaestor.settings import Settings

NETWORK = """
name = "shop"
unmet_demand = "lost"
nodes = [
    { name = "factory", kind = "supplier" },
    { name = "shop", kind = "store", holding_cost = 1.0, underage_cost = 9.0 },
]
edges = [{ source = "factory", target = "shop", lead_time = 4 }]
"""
STUDY = """
kind = "inventory"
system = "shops"
network = "network.toml"
scenario = "product and store"

[windows]
train = [0, 40]
dev = [24, 52]
test = [36, 64]
history = 8
warmup = 8

[policy]
kind = "mlp"
window = 8
calendar = 0

[certificate]
noise_scale = 0.03
budgets = [0.03]
"""
STORES = ("north", "south")


@pytest.fixture
def study(settings: Settings, tmp_path: Path) -> Path:
    """A study of single series; sales end with a stock of 6 in the north, and are marked there."""
    draw = np.random.default_rng(3)
    demand = draw.poisson(5, (4, 2, 64))
    stock = np.where(draw.random(demand.shape) < 0.5, 6, 40) * np.array([1, 10])[:, None]
    rows = [
        {
            "product": f"P{p}",
            "store": store,
            "period": t,
            "units": int(min(demand[p, s, t], stock[p, s, t])),
            "stocked_out": bool(demand[p, s, t] >= stock[p, s, t]),
        }
        for p in range(4)
        for s, store in enumerate(STORES)
        for t in range(64)
    ]
    pl.DataFrame(rows).write_csv(tmp_path / "demand.csv")
    assert ingest_file(settings.store, "demand", tmp_path / "demand.csv", "shops").added == len(rows)
    (tmp_path / "network.toml").write_text(NETWORK)
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path / "study.toml"


def changed(study: Path, more: str, before: str = "[windows]") -> Path:
    path = study.with_name("changed.toml")
    path.write_text(study.read_text().replace(before, f"{more}\n{before}"))
    return path


def test_every_product_in_every_store_is_a_scenario(settings: Settings, study: Path) -> None:
    recorded = load_problem(settings, read_inventory_study(study))
    assert recorded.panel.products[:3] == ("P0, north", "P0, south", "P1, north")
    assert recorded.problem.train.demand.shape[:2] == (8, 1)
    assert recorded.problem.layout.batch == 1


def test_terms_of_a_file_reach_their_series(settings: Settings, study: Path) -> None:
    rows = [
        {"product": f"P{p}", "store": s, "underage_cost": 5.0 + p, "lead_time": 1 + p % 4}
        for p in (3, 1, 0, 2)
        for s in STORES
    ]
    pl.DataFrame(rows).write_csv(study.with_name("terms.csv"))
    path = changed(study, '[terms]\nfile = "terms.csv"')
    layout = load_problem(settings, read_inventory_study(path)).problem.layout
    assert layout.underage_cost[:, 0].tolist() == [5, 5, 6, 6, 7, 7, 8, 8]
    assert layout.lead_time[:, 0].tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert layout.holding_cost.unique().tolist() == [1.0]
    pl.DataFrame(rows[:-1]).write_csv(study.with_name("terms.csv"))
    with pytest.raises(UsageError, match=r"no row for product 'P2' in store 'south'"):
        load_problem(settings, read_inventory_study(path))
    pl.DataFrame([{**row, "lead_time": 5} for row in rows]).write_csv(study.with_name("terms.csv"))
    with pytest.raises(UsageError, match="between 1 and 4"):
        load_problem(settings, read_inventory_study(path))


def test_drawn_terms_stay_in_their_ranges_and_name_the_data(settings: Settings, study: Path) -> None:
    ranges = "[terms]\nunderage_cost = [6.3, 11.7]\nlead_time = [2, 4]\nseed = {}"
    first, again, other = (
        load_problem(settings, read_inventory_study(changed(study, ranges.format(seed)))) for seed in (0, 0, 1)
    )
    layout = first.problem.layout
    assert 6.3 <= float(layout.underage_cost.min()) < float(layout.underage_cost.max()) <= 11.7
    assert set(layout.lead_time.flatten().tolist()) <= {2, 3, 4}
    assert torch.equal(layout.underage_cost, again.problem.layout.underage_cost)
    assert first.data["digest"] == again.data["digest"] != other.data["digest"]


def test_censored_sales_give_back_demand_where_it_was_cut_and_nowhere_else(settings: Settings, study: Path) -> None:
    plain = load_problem(settings, read_inventory_study(study))
    censored = load_problem(settings, read_inventory_study(changed(study, "censored = true")))
    more = censored.panel.units - plain.panel.units
    assert plain.panel.stocked_out is not None
    assert (more >= 0).all()
    assert (more[~plain.panel.stocked_out] == 0).all()
    assert more[0::2].sum() > 0
    assert more[1::2].sum() == 0
    assert censored.data["digest"] != plain.data["digest"]


def test_what_cannot_be_is_said(settings: Settings, study: Path) -> None:
    with pytest.raises(UsageError, match="either a file or ranges"):
        read_inventory_study(changed(study, "[terms]\nseed = 3"))
    two = NETWORK.replace("nodes = [", 'nodes = [\n{ name = "b", kind = "store", underage_cost = 9.0 },').replace(
        "edges = [", 'edges = [{ source = "factory", target = "b", lead_time = 1 }, '
    )
    study.with_name("network.toml").write_text(two)
    with pytest.raises(UsageError, match="for a network with one store"):
        load_problem(settings, read_inventory_study(study))
