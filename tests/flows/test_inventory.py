"""Inventory from a user's own network and demand file to a bundle, and training that is interrupted on the way."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import flows.inventory_training as training
from flows.certifying import verify_case
from flows.inventory_case import inventory_case
from flows.inventory_evidence import graph_runner
from flows.inventory_problem import load_problem
from flows.inventory_study import read_inventory_study
from flows.retrain_inventory import run_retrain_inventory
from flows.verify import case_of, climb
from models.inventory.rollout import rollout
from quaestor.errors import UsageError
from quaestor.export.bundle import CERTIFICATE, EPISODES, open_bundle
from quaestor.export.inventory_policy import InventoryPolicy
from quaestor.export.policy import GRAPH, SPEC, load_policy
from quaestor.export.runtime import load
from quaestor.export.verification import read_certificate
from quaestor.log.ingest import ingest_file
from quaestor.registry import iteration as registry
from quaestor.registry.certificates import was_issued
from quaestor.settings import Settings
from quaestor.simulation.figures import cost
from quaestor.simulation.network import plain_network
from quaestor.simulation.play import play_policy
from quaestor.simulation.scenarios import SCENARIOS, scenarios_from
from quaestor.store import Store, evidence, networks

NETWORK = """
name = "corner-shops"
unmet_demand = "lost"
nodes = [
    { name = "factory", kind = "supplier" },
    { name = "depot", kind = "warehouse", holding_cost = 0.3 },
    { name = "north", kind = "store", holding_cost = 1.0, underage_cost = 9.0 },
    { name = "south", kind = "store", holding_cost = 1.0, underage_cost = 7.0 },
]
edges = [
    { source = "factory", target = "depot", lead_time = 2 },
    { source = "depot", target = "north", lead_time = 1 },
    { source = "depot", target = "south", lead_time = 2 },
]
"""
STUDY = """
kind = "inventory"
system = "corner-shops"
network = "network.toml"
noise_draws = 2

[windows]
train = [0, 40]
dev = [24, 52]
test = [36, 64]
history = 8
warmup = 8

[policy]
kind = "graph"
width = 8
rounds = 1
window = 8
calendar = 0

[hdpo]
epochs = 6
batch = 6

[yardsticks]
epochs = 5
batch = 6
learning_rate = 0.05

[certificate]
noise_scale = 0.03
budgets = [0.015, 0.03, 0.045]
episodes = 40

[gate]
certified_budget = 0.03
minimum_pairs = 8
"""


@pytest.fixture
def study(settings: Settings, tmp_path: Path) -> Path:
    """A study folder and an ingested CSV of undated demand with one return in it."""
    (tmp_path / "network.toml").write_text(NETWORK)
    (tmp_path / "study.toml").write_text(STUDY)
    draw = np.random.default_rng(3)
    rows = [
        {"product": f"P{p}", "store": s, "period": t, "units": int(draw.poisson(4 + 3 * p))}
        for p in range(12)
        for s in ("north", "south")
        for t in range(64)
    ]
    rows[0]["units"] = -5
    pl.DataFrame(rows).write_csv(tmp_path / "demand.csv")
    assert ingest_file(settings.store, "demand", tmp_path / "demand.csv", "corner-shops").added == len(rows)
    return tmp_path / "study.toml"


def test_returns_are_not_demand(settings: Settings, study: Path) -> None:
    recorded = load_problem(settings, read_inventory_study(study))
    assert recorded.data["returns_clipped"] == 1
    assert float(recorded.problem.train.demand.min()) == 0.0
    assert recorded.problem.test.periods == 64 - 36 - 8


def test_windows_beyond_the_records_and_gaps_are_said(settings: Settings, study: Path, tmp_path: Path) -> None:
    longer = study.read_text().replace("test = [36, 64]", "test = [36, 90]")
    (tmp_path / "longer.toml").write_text(longer)
    with pytest.raises(UsageError, match="only 64 periods are recorded"):
        load_problem(settings, read_inventory_study(tmp_path / "longer.toml"))
    with settings.store.write() as connection:
        connection.execute("delete from demand where period = 20 and product = 'P3' and store = 'north'")
    with pytest.raises(UsageError, match="Demand has gaps"):
        load_problem(settings, read_inventory_study(study))


@pytest.mark.slow
def test_from_a_csv_to_a_bundle_that_orders(settings: Settings, study: Path, tmp_path: Path) -> None:
    made = run_retrain_inventory(study)
    candidate = registry.get(settings.store, settings.data, made.candidate_id)
    with settings.store.read() as connection:
        _, evaluation = evidence.latest(connection, made.candidate_id, "evaluation", made.incumbent_id)
        _, curve = evidence.latest(connection, made.candidate_id, "learning_curve")
        _, kept = evidence.latest(connection, made.candidate_id, SCENARIOS, made.incumbent_id)
        network = networks.get(connection, kept["network_id"])
        _, certificate = evidence.latest(connection, made.candidate_id, "certificate")
    yardsticks = {"to newsvendor", "to newsvendor, learned quantile", "to base stock"}
    assert set(evaluation["others"]) == yardsticks | {"to the incumbent, paired by series alone"}
    assert evaluation["difference"]["method"] == "block bootstrap"
    assert evaluation["pairs"] == 12
    assert len(curve["epochs"]) == 6
    _played_again_without_torch(settings, study, made.candidate_id, network, kept)
    assert all(
        bound >= attacked for bound, attacked in zip(certificate["bounds"], certificate["attacked"], strict=True)
    )
    assert min(certificate["bounds"]) >= certificate["nominal"]
    again = run_retrain_inventory(study)
    assert {"training", "evaluation", "certificate", "verdict"} <= set(again.done_before)

    from quaestor.export.from_iteration import export_iteration

    bundle, _ = export_iteration(settings.store, settings.data, made.candidate_id, settings.bundles, "t", "a drill")
    rows = json.loads(candidate.read("golden_rows.json"))
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows))
    orders = load(bundle.path).decide(pl.read_json(path))
    assert orders.columns == ["system", "product", "period", "source", "target", "units"]
    assert (orders["units"] >= 0).all()
    shipped = orders.filter(pl.col("source") == "depot").group_by("product").agg(pl.col("units").sum())
    stock = {row["product"]: row["on_hand"][0] for row in rows}
    assert all(units <= stock[product] + 1e-4 for product, units in shipped.iter_rows())
    _verified_rung_by_rung(study, bundle.path)


def _played_again_without_torch(
    settings: Settings, study: Path, candidate_id: str, network: dict[str, Any], kept: dict[str, Any]
) -> None:
    """What the console plays from the exported graph costs what the evaluated rollouts cost, product by product."""
    params, scenarios = read_inventory_study(study), scenarios_from(kept)
    recorded = load_problem(settings, params)
    assert scenarios.products == recorded.panel.products
    for iteration_id in (candidate_id, *kept["yardsticks"].values()):
        iteration = registry.get(settings.store, settings.data, iteration_id)
        policy = load_policy(iteration.read(GRAPH), iteration.read(SPEC), iteration_id)
        assert isinstance(policy, InventoryPolicy)
        costs = cost(play_policy(plain_network(network), policy, scenarios), scenarios.warmup)
        with torch.no_grad():
            total = rollout(recorded.problem.layout, graph_runner(iteration), recorded.problem.test)
        stores = recorded.problem.layout.stores
        np.testing.assert_allclose(costs, total[:, params.windows.warmup :].mean(dim=1) / stores, rtol=1e-4)


def _verified_rung_by_rung(study: Path, bundle: Path) -> None:
    """An honest bundle holds on every rung; another seed, other values and another policy fail on theirs."""
    findings = climb(study, bundle, 5)
    assert [finding.rung for finding in findings] == [1, 3, 3, 4, 5]
    assert all(finding.holds for finding in findings), findings
    opened = open_bundle(bundle)
    certificate = read_certificate(opened.files[CERTIFICATE], "certificate")
    values = np.frombuffer(opened.files[EPISODES], dtype="<f8")
    assert certificate.attempt == 1
    assert certificate.declared_at <= certificate.issued_at
    case = case_of(study, opened.iteration_id, certificate)
    check = partial(verify_case, case=case, rung=5, issued=lambda: True)
    other_seed = replace(certificate, noise_seed=certificate.noise_seed + 1)
    assert [(each.rung, each.holds) for each in check(other_seed, values)] == [(1, True), (3, False)]
    assert not check(certificate, values * 0.99)[-1].holds
    other_policy = replace(certificate, subject=replace(certificate.subject, runner_digest="0" * 64))
    assert [(each.rung, each.holds) for each in check(other_policy, values)] == [(1, False)]
    assert was_issued(Settings().store, opened.iteration_id, certificate)
    longer = replace(certificate, expires_at="2099-01-01T00:00:00")
    assert not was_issued(Settings().store, opened.iteration_id, longer)
    changed = check(longer, values, issued=lambda: False)[-1]
    assert (changed.rung, changed.holds) == (3, False)


class _PulledError(RuntimeError):
    """The plug, pulled in the middle of training."""


@pytest.mark.slow
def test_interrupted_training_goes_on_to_the_same_iteration(
    settings: Settings, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Iterations are named by their content, so the same name means bit-identical weights."""
    params = read_inventory_study(study)
    recorded = load_problem(settings, params)

    def train(where: Settings) -> str:
        made, new = training.train_policy(
            where, params, recorded, params.policy, params.hdpo, 0.03, "candidate", None, lambda _: None
        )
        assert new
        return made.iteration_id

    elsewhere = Settings(data=tmp_path / "elsewhere")
    straight = train(elsewhere)
    writes = 0

    def pull_the_plug(path: Path, content: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes == 4:
            raise _PulledError
        real(path, content)

    real = training.write_file
    with monkeypatch.context() as patched:
        patched.setattr(training, "write_file", pull_the_plug)
        with pytest.raises(_PulledError):
            train(settings)
    assert len(list(settings.checkpoints.glob("*.pt"))) == 1
    lines: list[str] = []
    made, _ = training.train_policy(
        settings, params, recorded, params.policy, params.hdpo, 0.03, "candidate", None, lines.append
    )
    assert made.iteration_id == straight
    assert any("goes on after epoch 3" in line for line in lines)
    assert list(settings.checkpoints.glob("*.pt")) == []
    assert isinstance(elsewhere.store, Store)


@pytest.mark.slow
def test_a_study_may_train_on_for_its_certificate(settings: Settings, study: Path, tmp_path: Path) -> None:
    smoothing = "\n[smoothing]\nbudget = 0.03\nsteps = 8\ntraces = 6\ncheck_every = 4\n"
    (tmp_path / "smoothed.toml").write_text(study.read_text() + smoothing)
    params = read_inventory_study(tmp_path / "smoothed.toml")
    recorded = load_problem(settings, params)
    made = [
        training.train_policy(
            settings, params, recorded, params.policy, params.hdpo, 0.03, "candidate", None, lambda _: None, trained_on
        )[0]
        for trained_on in (None, params.smoothing, params.smoothing)
    ]
    assert made[0].iteration_id != made[1].iteration_id == made[2].iteration_id
    with settings.store.read() as connection:
        assert evidence.latest(connection, made[0].iteration_id, "smoothed_training") is None
        kept = evidence.latest(connection, made[1].iteration_id, "smoothed_training")
    assert kept is not None
    found = kept[1]
    assert len(found["curve"]) == 3
    for when in ("before", "after"):
        assert found[when]["smoothed"] < found[when]["certified"]
        price = 100 * (found[when]["smoothed"] / found["before"]["unsmoothed"] - 1)
        assert found["price_percent"][when] == pytest.approx(price)


@pytest.mark.slow
def test_a_large_study_is_attacked_where_it_hurts(
    settings: Settings, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind of attack is tried, the adaptive one included, and none leads beyond its share of the budget."""
    monkeypatch.setattr("flows.inventory_case.AIMED", 5 * 20 * 3)
    params = read_inventory_study(study)
    recorded = load_problem(settings, params)
    made, _ = training.train_policy(
        settings, params, recorded, params.policy, params.hdpo, 0.03, "candidate", None, lambda _: None
    )
    case = inventory_case(params, recorded, made, cap=1e6)
    tried = case.attack((0.03, 0.3), 5)
    kinds = {each.name.split(":")[0] for each in tried}
    aimed = {name for name in kinds if name.endswith("on the 5 products it moves most")}
    assert {name.split(",")[0] for name in kinds} == {"constant", "gradient through the simulator", "adaptive"}
    assert len(aimed) == 2
    assert len(kinds) == 4
