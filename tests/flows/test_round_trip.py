"""Payments through the whole loop: a bundle decides, files are ingested, rounds mature, the next policy is refitted."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from flows.ingest import run_ingest
from flows.payments_study import read_payments_study
from flows.payments_training import ensure_rule, payments_policy
from flows.retrain_payments import run_retrain_payments
from models.payments.deploy import deploy
from models.payments.world import ACTIONS, Payments, PaymentsWorld, WorldParams, decision_log
from quaestor.export.runtime import load
from quaestor.registry import iteration as registry
from quaestor.registry.promotion import promote
from quaestor.registry.report import reports
from quaestor.settings import Settings
from tests.conftest import STUDIES
from tests.quaestor.log.test_ingest import dump

pytestmark = pytest.mark.slow

ROUNDS = 40_000


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The world's study with fewer certifying episodes."""
    text = (STUDIES / "payments" / "world.toml").read_text()
    path = tmp_path / "world.toml"
    path.write_text(text.replace("episodes = 10000", "episodes = 2000"))
    return path


def _outcomes_file(world: PaymentsWorld, payments: Payments, decided: pl.DataFrame, path: Path) -> Path:
    action = decided["action"].replace_strict({name: k for k, name in enumerate(ACTIONS)}, return_dtype=pl.Int64)
    world.outcomes(payments, action.to_numpy(), "payments-world").write_parquet(path)
    return path


def _row_counts(settings: Settings) -> dict[str, int]:
    tables = ("decisions", "outcomes", "iterations", "evidence", "verdicts", "bundles", "audit", "quarantine")
    with settings.store.read() as connection:
        return {t: connection.execute(f"select count(*) from {t}").fetchone()[0] for t in tables}


def test_the_loop(settings: Settings, study: Path, tmp_path: Path) -> None:
    world, params = PaymentsWorld(WorldParams(seed=11)), read_payments_study(study)
    hours = timedelta(hours=params.maturity.attribution_hours)
    rule = ensure_rule(settings, params, ACTIONS)
    first = world.payments(ROUNDS, 0, "loop")
    choice = deploy(payments_policy(rule), first)
    decided = decision_log(first, choice.probabilities, choice.action, params.system, rule.iteration_id)
    decided.write_parquet(tmp_path / "d1.parquet")
    run_ingest("decisions", [tmp_path / "d1.parquet"])
    run_ingest("outcomes", [_outcomes_file(world, first, decided, tmp_path / "o1.parquet")])

    # Before the window closes on the last rounds, they are pending and teach nobody.
    early = run_retrain_payments(study, as_of=first.decided_at.max() + hours / 2)
    done = run_retrain_payments(study, as_of=first.decided_at.max() + hours)
    assert early.candidate_id != done.candidate_id
    manifests = [
        registry.get(settings.store, settings.data, r.candidate_id).inputs.data["statuses"] for r in (early, done)
    ]
    assert manifests[0]["pending"] > 0
    assert "pending" not in manifests[1]

    assert done.stage == "promote"
    assert done.bundle is not None
    before, events = _row_counts(settings), dump(settings.store)
    again = run_retrain_payments(study, as_of=first.decided_at.max() + 2 * hours)
    assert again.candidate_id == done.candidate_id
    assert set(again.done_before) == {"training", "evaluation", "certificate", "verdict", "export"}
    assert (_row_counts(settings), dump(settings.store)) == (before, events)

    promote(settings.store, done.candidate_id, "tester", "better")
    second = world.payments(ROUNDS, ROUNDS, "loop")
    names = [[ACTIONS[k] for k in row.nonzero()[0]] for row in second.eligible]
    rows = second.context().with_columns(
        pl.Series("event_id", second.event_ids),
        second.decided_at.dt.replace_time_zone("UTC").alias("decided_at"),
        pl.Series("eligible", names),
    )
    by_bundle = load(done.bundle).decide(rows)
    by_bundle.write_parquet(tmp_path / "d2.parquet")
    run_ingest("decisions", [tmp_path / "d2.parquet"])
    run_ingest("outcomes", [_outcomes_file(world, second, by_bundle, tmp_path / "o2.parquet")])
    next_one = run_retrain_payments(study, as_of=second.decided_at.max() + hours)
    assert next_one.incumbent_id == done.candidate_id
    child = registry.get(settings.store, settings.data, next_one.candidate_id)
    assert child.parent_id == done.candidate_id
    assert child.inputs.data["iterations"] == {rule.iteration_id: ROUNDS, done.candidate_id: ROUNDS}
    with settings.store.read() as connection:
        found = {report.iteration_id: report for report in reports(connection)}
    assert found[done.candidate_id].stage == "live"
    fresh = world.payments(8000, 10 * ROUNDS, "fresh")
    shares = [
        world.share_of_gap(fresh, deploy(payments_policy(policy), fresh).probabilities)
        for policy in (rule, registry.get(settings.store, settings.data, done.candidate_id), child)
    ]
    assert shares[0] < 0.5 < 0.75 < min(shares[1:])
    for name in (done.candidate_id, next_one.candidate_id):
        certificate = found[name].certificate
        assert certificate is not None
        assert all(a >= b for a, b in zip(certificate.attacked, certificate.bounds, strict=True))
