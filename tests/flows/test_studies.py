"""The studies in the house: each is read, and poses the problem that it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.inventory_problem import load_problem
from flows.inventory_study import read_inventory_study
from models.inventory.hdpo import mean_cost, train
from models.inventory.instances import (
    SERIAL_HOLDING,
    SERIAL_LEAD_TIMES,
    Instance,
    many_warehouses_lost,
    one_store_backlogged,
    one_store_lost,
    one_warehouse_lost,
    serial,
    transshipment,
)
from models.inventory.network import read_network
from models.inventory.policies.build import build_policy
from models.inventory.yardsticks.clark_scarf import serial_optimum
from models.inventory.yardsticks.echelon_levels import EchelonLevelsPolicy
from models.inventory.yardsticks.grid_demand import normal_on_grid
from quaestor.errors import UsageError
from quaestor.ope.interval import paired_interval
from quaestor.settings import Settings
from tests.conftest import STUDIES

CLASSES = {
    "one_store_lost": one_store_lost(4, 9.0),
    "one_store_backlogged": one_store_backlogged(4, 9.0),
    "serial": serial(4, 9.0),
    "one_warehouse_lost": one_warehouse_lost(10, 0),
    "transshipment_backlogged": transshipment(5, 2, 9.0, 0.5, 0),
    "many_warehouses_lost": many_warehouses_lost(0),
}


@pytest.mark.parametrize("name", CLASSES)
def test_a_study_poses_the_class_it_is_named_after(name: str, settings: Settings) -> None:
    instance: Instance = CLASSES[name]
    study = read_inventory_study(STUDIES / "inventory" / f"{name}.toml")
    network = read_network(study.network)
    assert network.nodes == instance.network.nodes
    assert network.edges == instance.network.edges
    assert (network.unmet_demand, network.whole_units) == (
        instance.network.unmet_demand,
        instance.network.whole_units,
    )
    assert study.drawn is not None
    assert study.drawn.law == instance.demand
    problem = load_problem(settings, study).problem
    assert problem.test.periods - study.windows.warmup == 100
    assert problem.train.batch == study.drawn.scenarios


def test_a_chain_learns_what_its_optimum_costs_with_the_settings_of_its_study(settings: Settings) -> None:
    study = read_inventory_study(STUDIES / "inventory" / "serial.toml")
    problem = load_problem(settings, study).problem
    learned = build_policy(study.policy, problem.layout, problem.typical_demand, seed=1)
    train(learned, problem.layout, problem.train, problem.dev, study.hdpo, study.windows.warmup)
    leads, holding = (*SERIAL_LEAD_TIMES, 4)[::-1], SERIAL_HOLDING[::-1]
    optimum = serial_optimum(normal_on_grid(5.0, 2.0), leads, holding, 9.0)
    best = EchelonLevelsPolicy(optimum.levels[::-1])
    costs = [mean_cost(problem.layout, policy, problem.test, study.windows.warmup) for policy in (learned, best)]
    excess = paired_interval((costs[0] - costs[1]).double().numpy())
    assert excess.upper < 0.01 * optimum.cost


def test_a_law_for_other_stores_is_refused(settings: Settings, tmp_path: Path) -> None:
    folder = STUDIES / "inventory"
    text = (folder / "one_warehouse_lost.toml").read_text()
    (tmp_path / "one_warehouse_lost.network.toml").write_text((folder / "serial.network.toml").read_text())
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(UsageError, match="for 10 stores, the network has 1"):
        load_problem(settings, read_inventory_study(tmp_path / "study.toml"))


def test_demand_cannot_be_both_drawn_and_recorded(tmp_path: Path) -> None:
    text = (STUDIES / "inventory" / "serial.toml").read_text()
    (tmp_path / "study.toml").write_text(text.replace('kind = "inventory"', 'kind = "inventory"\nproducts = 5'))
    with pytest.raises(UsageError, match="drawn or recorded"):
        read_inventory_study(tmp_path / "study.toml")
