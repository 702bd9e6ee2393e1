"""A server decides, its files are ingested, rounds mature, the next policy is refitted, a server takes it over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flows.export import run_export
from flows.ingest import run_ingest
from flows.payments_study import read_payments_study
from flows.payments_training import ensure_rule, payments_policy
from flows.retrain_payments import run_retrain_payments
from models.payments.deploy import deploy
from models.payments.world import ACTIONS, PaymentsWorld, WorldParams, decision_log
from quaestor.registry import iteration as registry
from quaestor.registry.promotion import promote
from quaestor.settings import Settings
from tests.conftest import STUDIES
from tests.quaestor.export.conftest import KEY, private_pem, public_pem
from tests.quaestor.export.serving import OPERATOR, Server, point

pytestmark = pytest.mark.slow

BEFORE, SERVED, AT_ONCE = 20_000, 4_000, 100


def test_the_loop_through_a_server(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUAESTOR_SIGNING_KEY", private_pem(KEY).decode())
    (tmp_path / "trusted.pem").write_bytes(public_pem(KEY))
    text = (STUDIES / "payments" / "world.toml").read_text()
    study = tmp_path / "world.toml"
    study.write_text(text.replace("episodes = 10000", "episodes = 1000"))
    params = read_payments_study(study)
    hours = timedelta(hours=params.maturity.attribution_hours)
    world = PaymentsWorld(WorldParams(seed=11))

    # The team's rule decided until now; the first iteration learns from its log.
    rule = ensure_rule(settings, params, ACTIONS)
    past = world.payments(BEFORE, 0, "past")
    choice = deploy(payments_policy(rule), past)
    decided = decision_log(past, choice.probabilities, choice.action, params.system, rule.iteration_id)
    decided.write_parquet(tmp_path / "d1.parquet")
    world.outcomes(past, choice.action, params.system).write_parquet(tmp_path / "o1.parquet")
    run_ingest("decisions", [tmp_path / "d1.parquet"])
    run_ingest("outcomes", [tmp_path / "o1.parquet"])
    first = run_retrain_payments(study, as_of=past.decided_at.max() + hours)
    bundle = Path(run_export(first.candidate_id, override="a test"))
    promote(settings.store, first.candidate_id, "tester", "a test", override=True)

    # It is served, signed, and decides payments that come over HTTP; outcomes come the same way.
    live, folder = tmp_path / "live", tmp_path / "records"
    live.symlink_to(bundle)
    server = Server(live, folder, tmp_path / "trusted.pem")
    client = server.client()
    now = world.payments(SERVED, BEFORE, "served")
    eligible = [[ACTIONS[k] for k in row.nonzero()[0]] for row in now.eligible]
    rows = now.context().with_columns(pl.Series("event_id", now.event_ids), pl.Series("eligible", eligible)).to_dicts()
    answers = []
    for start in range(0, SERVED, AT_ONCE):
        status, answer = client.ask("/v1/decide", rows[start : start + AT_ONCE])
        assert status == 200, answer
        answers += answer
    assert {answer["iteration_id"] for answer in answers} == {first.candidate_id}
    taken = np.array([ACTIONS.index(answer["action"]) for answer in answers])
    paid = np.random.default_rng(0).random(SERVED) < world.success(now)[np.arange(SERVED), taken]
    observed_at = datetime.now(UTC).isoformat()
    for answer, reward in zip(answers[::2], paid[::2].tolist(), strict=True):
        outcome = {"event_id": answer["event_id"], "observed_at": observed_at, "reward": float(reward)}
        assert client.ask("/v1/outcome", outcome)[0] == 202
    server_files = folder / "decisions", folder / "outcomes"

    # The next iteration learns from what the server wrote, and takes its place while it runs.
    second_server = Server(live, folder / "second", tmp_path / "trusted.pem")
    assert server.stop() == 0
    for kind, where in zip(("decisions", "outcomes"), server_files, strict=True):
        run_ingest(kind, sorted(where.glob("*.parquet")))
    next_one = run_retrain_payments(study, as_of=datetime.now(UTC).replace(tzinfo=None) + hours)
    child = registry.get(settings.store, settings.data, next_one.candidate_id)
    assert child.parent_id == first.candidate_id
    fallbacks = sum(answer["fallback"] for answer in answers)
    assert child.inputs.data["iterations"][first.candidate_id] == SERVED - fallbacks
    point(live, Path(run_export(next_one.candidate_id, override="a test")))
    client = second_server.client()
    client.ask("/v1/reload", {}, OPERATOR)
    assert client.ask("/version", token=OPERATOR)[1]["iteration_id"] == next_one.candidate_id
    assert client.ask("/v1/decide", rows[:1], OPERATOR)[1][0]["iteration_id"] == next_one.candidate_id
    assert second_server.stop() == 0
