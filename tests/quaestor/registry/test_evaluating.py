"""Any two iterations compared from the store: honest logs, logs of another version, and logs without propensities."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from quaestor.cli.app import app
from quaestor.errors import GateRefusedError, UsageError
from quaestor.export.replay import target_probabilities
from quaestor.log.ingest import ingest_file
from quaestor.log.maturity import MaturityParams
from quaestor.ope.estimators import why_not_alone
from quaestor.registry import iteration as registry
from quaestor.registry.evaluating import Judged, evaluate_pair
from quaestor.registry.gate import GateParams, Stage
from quaestor.registry.judging import EVALUATION, GATE, judge_iteration, keep
from quaestor.registry.off_policy import Method
from quaestor.registry.promotion import promote
from quaestor.registry.served import payments_policy
from quaestor.settings import Settings
from quaestor.store import audit
from tests.evidence import LONG_AFTER, evaluation, policy, register
from tests.rounds import bandit

ROUNDS = 3000
LENIENT = GateParams(effective_size=100, rarer_outcomes=50)


@pytest.fixture
def pair(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A candidate and an incumbent over the bandit's actions."""
    monkeypatch.setattr("quaestor.registry.evaluating.maturity_of", lambda *_: MaturityParams(24, 0.0))
    incumbent, candidate = (register(settings, policy(seed), f"policy {seed}") for seed in range(2))
    return candidate.iteration_id, incumbent.iteration_id


def decided(settings: Settings, server: str, named: str | None) -> pl.DataFrame:
    """Decisions that one iteration served and that name another, or none."""
    logged = bandit(ROUNDS, 7).batch.logged
    serving = payments_policy(registry.get(settings.store, settings.data, server))
    probabilities = target_probabilities(serving, logged)
    drawn = np.random.default_rng(8).random(ROUNDS)[:, None]
    action = (probabilities.cumsum(axis=1) <= drawn).sum(axis=1).clip(max=3)
    labels = np.array(logged.actions)
    return logged.context.with_columns(
        system=pl.lit("bandit"),
        event_id=logged.event_ids,
        decided_at=logged.decided_at.dt.replace_time_zone("UTC"),
        iteration_id=pl.lit(named, dtype=pl.String),
        eligible=pl.Series([labels[row].tolist() for row in logged.eligible]),
        propensities=pl.Series([row[own].tolist() for row, own in zip(probabilities, logged.eligible, strict=True)]),
        action=pl.Series(labels[action]),
        propensity=probabilities[np.arange(ROUNDS), action],
    )


def ingest(settings: Settings, folder: Path, decisions: pl.DataFrame) -> None:
    """The decisions with outcomes a minute later: the first action always succeeds, others every second time."""
    reward = np.where(decisions["action"].to_numpy() == "a0", 1.0, np.arange(ROUNDS) % 2)
    outcomes = decisions.select(
        "system", "event_id", observed_at=pl.col("decided_at") + timedelta(minutes=1), reward=pl.Series(reward)
    )
    for kind, rows in (("decisions", decisions), ("outcomes", outcomes)):
        rows.write_parquet(folder / f"{kind}.parquet")
        ingest_file(settings.store, kind, folder / f"{kind}.parquet")


def evaluated(settings: Settings, pair: tuple[str, str], params: GateParams = LENIENT) -> Judged:
    """The pair's evaluation and verdict."""
    return evaluate_pair(settings.store, settings.data, pair[0][:12], pair[1][:12], params, "ann", LONG_AFTER)


def test_a_pair_is_compared_on_the_rounds_in_the_store(
    settings: Settings, tmp_path: Path, pair: tuple[str, str]
) -> None:
    ingest(settings, tmp_path, decided(settings, pair[1], pair[1]))
    judged = evaluated(settings, pair)
    found = judged.evaluation
    assert {check.status for check in found.diagnostics} == {"ok"}
    assert found.pairs == ROUNDS
    assert found.incumbent_overlap is not None
    assert found.incumbent_overlap.effective_size == pytest.approx(ROUNDS, rel=1e-6)
    assert "CAB" in found.others
    again = evaluated(settings, pair)
    assert (again.evaluation, again.verdict) == (found, judged.verdict)
    with pytest.raises(UsageError, match="same iteration"):
        evaluated(settings, (pair[0], pair[0]))


@pytest.mark.slow
def test_the_command_says_the_same(settings: Settings, tmp_path: Path, pair: tuple[str, str]) -> None:
    ingest(settings, tmp_path, decided(settings, pair[1], pair[1]))
    gate = tmp_path / "gate.toml"
    gate.write_text("[gate]\neffective_size = 100\nrarer_outcomes = 50\n")
    names = ["--candidate", pair[0][:10], "--incumbent", pair[1][:10], "--gate", str(gate)]
    said = CliRunner().invoke(app, ["evaluate", *names, "--json"])
    assert said.exit_code == 0, said.output
    shown, judged = json.loads(said.stdout), evaluated(settings, pair)
    assert shown["verdict"]["stage"] == judged.verdict.stage
    assert shown["evaluation"]["difference"]["value"] == judged.evaluation.difference.value
    assert shown["assumes"].startswith("independent rounds")
    assert CliRunner().invoke(app, ["evaluate", *names]).exit_code == 0


def test_other_methods_decide_or_are_refused(settings: Settings, tmp_path: Path, pair: tuple[str, str]) -> None:
    ingest(settings, tmp_path, decided(settings, pair[1], pair[1]))
    names = settings.store, settings.data, *pair, LENIENT, "ann", LONG_AFTER
    within = evaluate_pair(*names, Method("snips", "level")).evaluation
    assert within.estimator == "SNIPS within level"
    assert why_not_alone(within.estimator) is None
    assert "doubly robust" in within.others
    refused = evaluate_pair(*names, Method("switch-dr", "actions"))
    assert refused.verdict.stage is Stage.NOT_ENOUGH
    assert any("cannot decide alone" in reason for reason in refused.verdict.reasons)
    with pytest.raises(ValueError, match="no estimator 'magic'"):
        Method("magic")


def test_what_actions_cost_counts_where_the_study_says_so(
    settings: Settings, tmp_path: Path, pair: tuple[str, str]
) -> None:
    """The same policy under an objective: its gain is net of cost, and a broken budget speaks against it."""
    ingest(settings, tmp_path, decided(settings, pair[1], pair[1]))

    def under(**objective: object) -> Judged:
        costs = {"a0": 0.4, "a1": 0.1, "a2": 0.0, "a3": 0.2}
        refit = {"objective": {"costs": costs, **objective}}
        made = register(settings, policy(1), f"under {sorted(objective.items())}", refit=refit)
        return evaluated(settings, (made.iteration_id, pair[1]))

    net = under(price=2.0).evaluation
    assert net.unit == "reward net of cost (at 2) a round"
    parts = net.others["reward alone"].value - 2.0 * net.others["cost alone"].value
    assert net.difference.value == pytest.approx(parts, abs=1e-12)
    assert net.others["cost alone"].value != 0
    assert net.over_budget == ()
    (sentence,) = under(price=2.0, budget=0.02).evaluation.over_budget
    assert "the budget is 0.02" in sentence
    told = evaluation()
    keep(settings.store, pair[0], EVALUATION, replace(told, over_budget=(sentence,)).as_json(), told.incumbent_id)
    verdict, _ = judge_iteration(settings.store, "bandit", pair[0], told.incumbent_id, LENIENT, "ann")
    assert (verdict.stage, verdict.reasons) == (Stage.REJECT, (sentence,))
    with pytest.raises(UsageError, match="counts what 'fraud' says that actions cost"):
        under(cost_system="fraud")
    assert evaluated(settings, pair).evaluation.unit == "reward a round"


def test_the_gate_of_the_study_is_not_forgotten(settings: Settings, tmp_path: Path, pair: tuple[str, str]) -> None:
    """Judged again without a gate of one's own, a candidate needs the certificate that its study asks for."""
    ingest(settings, tmp_path, decided(settings, pair[1], pair[1]))
    strict = replace(LENIENT, certified_budget=0.1)
    keep(settings.store, pair[0], GATE, asdict(strict), pair[1])
    judged = evaluate_pair(settings.store, settings.data, pair[0], pair[1], None, "ann", LONG_AFTER)
    assert judged.gate == strict
    assert "There is no certificate yet." in judged.verdict.reasons


def test_rounds_that_another_version_served_decide_nothing(
    settings: Settings, tmp_path: Path, pair: tuple[str, str]
) -> None:
    ingest(settings, tmp_path, decided(settings, server=pair[0], named=pair[1]))
    judged = evaluated(settings, pair)
    assert judged.verdict.stage is Stage.NOT_ENOUGH
    assert any("another version served them" in reason for reason in judged.verdict.reasons)


def test_estimated_propensities_promote_only_by_an_audited_override(
    settings: Settings, tmp_path: Path, pair: tuple[str, str]
) -> None:
    bare = decided(settings, pair[1], None).drop("propensity", "propensities", "iteration_id")
    bare.write_parquet(tmp_path / "bare.parquet")
    made = CliRunner().invoke(
        app, ["estimate-propensities", str(tmp_path / "bare.parquet"), str(tmp_path / "e.parquet")]
    )
    assert made.exit_code == 0, made.output
    ingest(settings, tmp_path, pl.read_parquet(tmp_path / "e.parquet"))
    judged = evaluated(settings, pair)
    assert judged.verdict.stage is Stage.NOT_ENOUGH
    assert any("not logged but estimated" in reason for reason in judged.verdict.reasons)
    with pytest.raises(GateRefusedError, match="estimated"):
        promote(settings.store, pair[0], "ann", "we have nothing better")
    promote(settings.store, pair[0], "ann", "we have nothing better", override=True)
    with settings.store.read() as connection:
        entry = audit.trail(connection, "bandit").row(-1, named=True)
    assert entry["action"] == "promote"
    assert "override" in entry["reason"]
    assert "estimated" in entry["reason"]
