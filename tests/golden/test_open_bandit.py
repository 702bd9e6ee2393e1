"""Known values of the Open Bandit men's logs (Saito et al., arXiv 2008.07146): the real files, where they are."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.ope_reference import read_logs
from benchmarks.ope_reference import rows as rows_of
from quaestor.log.batch import MaturedBatch
from quaestor.log.ingest import ingest_file
from quaestor.log.maturity import MaturityParams, judge, matured_batch
from quaestor.ope.interval import normal_interval
from quaestor.ope.ips import ips
from quaestor.ope.on_policy import on_policy
from quaestor.ope.snips import snips
from quaestor.ope.target_rounds import target_rounds
from quaestor.ope.weights import overlap
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.gate import GateParams, Stage, gate
from quaestor.settings import Settings
from quaestor.store import rounds


@pytest.fixture
def thompson(settings: Settings, shared_data: Path) -> MaturedBatch:
    """The Thompson-sampling log through the whole path: ingest, store, maturity."""
    ingest_file(settings.store, "open-bandit", shared_data / "obd_men_bts.parquet")
    with settings.store.read() as connection:
        decisions = rounds.decisions(connection, "open-bandit-men")
        outcomes = rounds.outcomes(connection, "open-bandit-men")
    return matured_batch(judge(decisions, outcomes, MaturityParams(24, 0.0), datetime(2020, 1, 1)))


def test_uniform_from_thompson_sampling(thompson: MaturedBatch) -> None:
    uniform = np.full(thompson.logged.eligible.shape, 1 / 34)
    assert ips(target_rounds(thompson, uniform)).value == pytest.approx(0.00300863, abs=5e-9)
    assert snips(target_rounds(thompson, uniform)).value == pytest.approx(0.00318942, abs=5e-9)
    found = overlap(thompson, uniform)
    assert found.effective_size == pytest.approx(655.7, abs=0.05)
    assert found.max_weight == pytest.approx(178.3, abs=0.05)
    assert on_policy(thompson).value == pytest.approx(0.0069)


def test_ten_thousand_rounds_do_not_declare_thompson_sampling_the_winner(shared_data: Path) -> None:
    """A plain interval excludes 0 here; the gate has to see that it cannot be trusted."""
    thompson = read_logs({policy: shared_data / f"obd_men_{policy}.parquet" for policy in ("random", "bts")}).bts
    uniform = np.full(thompson.logged.eligible.shape, 1 / 34)
    candidate, incumbent = on_policy(thompson), ips(target_rounds(thompson, uniform))
    difference = normal_interval(candidate.minus(incumbent))
    assert difference.excludes_zero
    evaluation = Evaluation(
        "reward", "clicks a round", "IPS", "the Thompson-sampling log", "random", len(thompson),
        normal_interval(candidate), normal_interval(incumbent), difference, {},
        incumbent_overlap=overlap(thompson, uniform),
    )  # fmt: skip
    verdict = gate(evaluation, None, (), GateParams())
    assert verdict.stage is Stage.NOT_ENOUGH
    assert any("655" in reason or "656" in reason for reason in verdict.reasons)


def _campaign(folder: Path, items: int, rounds: int) -> None:
    """Two logs of a made-up campaign in the data set's format: uniform, and a policy that prefers later items."""
    draw = np.random.default_rng(items)
    preferred = np.arange(1, items + 1) / np.arange(1, items + 1).sum()
    for policy, shares in (("random", np.full(items, 1 / items)), ("bts", preferred)):
        item = draw.choice(items, rounds, p=shares)
        frame = {
            "timestamp": [f"2019-11-24 00:{n // 60 % 60:02d}:{n % 60:02d}.{n:06d}+00:00" for n in range(rounds)],
            "item_id": item,
            "position": draw.integers(1, 4, rounds),
            "click": (draw.random(rounds) < 0.01).astype(int),
            "propensity_score": shares[item],
            "user_feature_0": draw.choice(["a", "b"], rounds),
            **{f"user-item_affinity_{k}": np.zeros(rounds) for k in range(items)},
        }
        pl.DataFrame(frame).write_parquet(folder / f"obd_all_{policy}.parquet")


@pytest.mark.parametrize("items", [7, 80])
def test_a_campaign_of_any_number_of_items(tmp_path: Path, items: int) -> None:
    """IPS and SNIPS of the uniform policy by hand, from the file itself, to the last digit."""
    _campaign(tmp_path, items, 3000)
    raw = pl.read_parquet(tmp_path / "obd_all_bts.parquet")
    weight, click = 1 / items / raw["propensity_score"].to_numpy(), raw["click"].to_numpy()
    paths = {policy: tmp_path / f"obd_all_{policy}.parquet" for policy in ("random", "bts")}
    found = {(row["estimator"], row["logging_policy"]): row for row in rows_of(read_logs(paths))}
    assert found["ips", "bts"]["value"] == pytest.approx((weight * click).mean(), rel=1e-12)
    assert found["snips", "bts"]["value"] == pytest.approx((weight * click).sum() / weight.sum(), rel=1e-12)
    assert found["ips", "bts"]["effective_size"] == pytest.approx(weight.sum() ** 2 / (weight**2).sum(), rel=1e-12)
    assert found["cab", "random"]["max_weight"] >= 1
    assert {row["verdict"] for row in found.values()} == {"not enough evidence"}
    fields = "estimator logging_policy target_policy value lower upper effective_size max_weight verdict"
    assert all(list(row) == fields.split() for row in found.values())


def test_the_benchmark_gives_the_reference_values(shared_data: Path) -> None:
    paths = {policy: shared_data / f"obd_men_{policy}.parquet" for policy in ("random", "bts")}
    found = {(row["estimator"], row["logging_policy"]): row for row in rows_of(read_logs(paths))}
    assert round(found["ips", "bts"]["value"], 8) == 0.00300863
    assert round(found["snips", "bts"]["value"], 8) == 0.00318942
    assert round(found["ips", "bts"]["effective_size"], 1) == 655.7
    assert round(found["ips", "bts"]["max_weight"], 1) == 178.3
    assert (found["on-policy", "random"]["value"], found["on-policy", "bts"]["value"]) == (0.0046, 0.0069)
    assert {row["verdict"] for row in found.values()} == {"not enough evidence"}
