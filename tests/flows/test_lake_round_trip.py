"""The same flows on a lake: ingest, retrain, promote, and a second run that finds everything done."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from flows.ingest import run_ingest
from flows.payments_study import read_payments_study
from flows.payments_training import ensure_rule, payments_policy
from flows.retrain_payments import run_retrain_payments
from models.payments.deploy import deploy
from models.payments.world import ACTIONS, PaymentsWorld, WorldParams, decision_log
from quaestor.registry.promotion import promote
from quaestor.settings import Settings
from quaestor.store import audit
from tests.conftest import STUDIES
from tests.flows.test_round_trip import _outcomes_file, _row_counts
from tests.lake import postgres, settings  # noqa: F401

pytestmark = pytest.mark.slow

ROUNDS = 6000


def test_ingest_retrain_promote_on_a_lake(settings: Settings, tmp_path: Path) -> None:  # noqa: F811
    study = tmp_path / "world.toml"
    text = (STUDIES / "payments" / "world.toml").read_text()
    study.write_text(text.replace("episodes = 10000", "episodes = 200"))
    world, params = PaymentsWorld(WorldParams(seed=11)), read_payments_study(study)
    rule = ensure_rule(settings, params, ACTIONS)
    first = world.payments(ROUNDS, 0, "lake")
    choice = deploy(payments_policy(rule), first)
    decided = decision_log(first, choice.probabilities, choice.action, params.system, rule.iteration_id)
    decided.write_parquet(tmp_path / "d.parquet")
    run_ingest("decisions", [tmp_path / "d.parquet"])
    run_ingest("outcomes", [_outcomes_file(world, first, decided, tmp_path / "o.parquet")])
    closed = first.decided_at.max() + timedelta(hours=params.maturity.attribution_hours)
    done = run_retrain_payments(study, as_of=closed)
    counts = _row_counts(settings)
    assert counts["decisions"] == ROUNDS
    again = run_retrain_payments(study, as_of=closed)
    assert again.candidate_id == done.candidate_id
    assert {"training", "evaluation", "certificate", "verdict"} <= set(again.done_before)
    assert _row_counts(settings) == counts
    promote(settings.store, done.candidate_id, "tester", "a drill", override=True)
    with settings.store.read() as connection:
        assert audit.live(connection, params.system) == done.candidate_id
