"""Refits through the real store: what arrives in whatever order teaches the same, bit for bit; parents, open rounds and
memory count as the study says."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from flows.payments_study import PaymentsStudy, read_payments_study
from flows.payments_training import ensure_rule, load_rounds, payments_policy, start_from, train
from models.payments.actions import ActionParams
from models.payments.deploy import deploy, in_world_order
from models.payments.exploration.tuning import Tuned
from models.payments.oracles.additive import AdditiveOracle, AdditiveParams
from models.payments.oracles.additive_state import ORACLE
from models.payments.oracles.logistic import LogisticParams
from models.payments.world import ACTIONS, Payments, PaymentsWorld, WorldParams, decision_log
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.log.ingest import ingest_file
from quaestor.registry.iteration import PolicyIteration
from quaestor.registry.promotion import promote
from quaestor.settings import Settings
from tests.conftest import STUDIES

pytestmark = pytest.mark.slow

ROUNDS = 6000


def _study(**refit: object) -> PaymentsStudy:
    study = read_payments_study(STUDIES / "payments" / "world.toml")
    return replace(study, refit=replace(study.refit, oracle=AdditiveParams(terms=0), **refit))


def _quiet(_: str) -> None:
    pass


def _decided(
    world: PaymentsWorld, payments: Payments, iteration: PolicyIteration, system: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    choice = deploy(payments_policy(iteration), payments)
    decisions = decision_log(payments, choice.probabilities, choice.action, system, iteration.iteration_id)
    return decisions, world.outcomes(payments, choice.action, system)


def _ingest(settings: Settings, kind: str, frame: pl.DataFrame, folder: Path, mess: int) -> None:
    """In one piece, or shuffled in two files of which the second repeats some rows of the first."""
    folder.mkdir(exist_ok=True)
    parts = [frame]
    if mess:
        mixed = frame.sample(fraction=1, shuffle=True, seed=mess)
        parts = [mixed[: len(mixed) * 2 // 3], mixed[len(mixed) // 2 :]]
    for number, part in enumerate(parts):
        path = folder / f"{kind}-{number}-{len(frame)}.parquet"
        part.write_parquet(path)
        ingest_file(settings.store, kind, path)


def _two_generations(data: Path, mess: int) -> list[PolicyIteration]:
    """A rule decides, a policy is refitted and decides, and the next one starts from it."""
    world, settings = PaymentsWorld(WorldParams(seed=4)), Settings(data=data)
    study = _study(warm_start=True, adaptive_memory=True)
    iterations = [ensure_rule(settings, study, ACTIONS)]
    for generation in range(2):
        payments = world.payments(ROUNDS, generation * ROUNDS, "mess")
        decisions, outcomes = _decided(world, payments, iterations[-1], study.system)
        first, second = ("outcomes", "decisions") if mess else ("decisions", "outcomes")
        for kind in (first, second):  # outcomes that come first wait in quarantine for their decisions
            frame = decisions if kind == "decisions" else outcomes
            _ingest(settings, kind, frame, data / f"files-{generation}", mess)
        newest = payments.decided_at.max()
        assert isinstance(newest, datetime)
        loaded = load_rounds(settings, study, newest + timedelta(hours=72))
        made, new = train(settings, study, loaded, iterations[-1], _quiet)
        assert new
        again, new = train(settings, study, loaded, iterations[-1], _quiet)
        assert (again.iteration_id, new) == (made.iteration_id, False)
        promote(settings.store, made.iteration_id, "tester", "next", override=True)
        iterations.append(made)
    return iterations


def test_the_order_of_arrival_changes_no_bit_of_two_generations(tmp_path: Path) -> None:
    """An iteration's name is the digest of all its files, so equal names are equal bits."""
    tidy, messy = (_two_generations(tmp_path / name, mess) for name, mess in (("tidy", 0), ("messy", 7)))
    assert [i.iteration_id for i in tidy] == [i.iteration_id for i in messy]
    assert tidy[2].inputs.data["digest"] != tidy[1].inputs.data["digest"]
    assert tidy[2].inputs.configuration["starts_from"] == tidy[1].iteration_id
    assert ORACLE in tidy[1].files
    assert start_from(tidy[0]) is None  # a rule has no oracle to start from
    started = start_from(tidy[1])
    assert started is not None
    assert isinstance(started.oracle, AdditiveOracle)
    contexts = payments_policy(tidy[1]).encode(PaymentsWorld(WorldParams(seed=4)).payments(50, 0, "some").context())
    assert np.abs(started.oracle.predict(contexts) - payments_policy(tidy[1]).scores(contexts)).max() < 1e-6


@pytest.fixture
def slow_answers(settings: Settings, tmp_path: Path) -> tuple[PaymentsWorld, datetime]:
    """Thirty thousand payments, explored evenly, whose answers take a day and more; and the time of the last one."""
    world = PaymentsWorld(WorldParams(seed=5, delay_hours=20.0))
    study = replace(_study(), incumbent=replace(_study().incumbent, order=(), epsilon=1.0))
    payments = world.payments(30_000, 0, "young")
    decisions, outcomes = _decided(world, payments, ensure_rule(settings, study, ACTIONS), study.system)
    newest = payments.decided_at.max()
    assert isinstance(newest, datetime)
    known = outcomes.filter(pl.col("observed_at").dt.replace_time_zone(None) <= newest)
    _ingest(settings, "decisions", decisions, tmp_path / "files", 0)
    _ingest(settings, "outcomes", known, tmp_path / "files", 0)
    return world, newest


def _predicted(world: PaymentsWorld, policy: PaymentsPolicy, fresh: Payments) -> np.ndarray:
    return in_world_order(policy, policy.scores(policy.encode(fresh.context())))


def test_open_rounds_teach_without_bias(settings: Settings, slow_answers: tuple[PaymentsWorld, datetime]) -> None:
    """Half of the rounds are open: they teach, too, and predictions of three_ds, whose answers are the slowest, are
    nearer to the truth (an answer within the window) than those of closed rounds alone; judged is on closed rounds."""
    world, newest = slow_answers
    fresh = world.payments(5000, 40_000, "fresh")
    median = np.where(np.array(ACTIONS) == "three_ds", 30.0, 20.0)
    in_time = norm.cdf(np.log(72.0 / median) / 0.8)  # the law of the world's delays
    truth, errors, taught = world.success(fresh) * in_time, [], []
    for study in (_study(), _study(open_rounds=True)):
        loaded = load_rounds(settings, study, newest)
        made, _ = train(settings, study, loaded, ensure_rule(settings, study, ACTIONS), _quiet)
        apart = _predicted(world, payments_policy(made), fresh) - truth
        slow = ACTIONS.index("three_ds")
        errors.append((float(np.square(apart).mean()), abs(float(apart[fresh.eligible[:, slow], slow].mean()))))
        taught.append((len(loaded.batch), loaded.early, loaded.manifest.digest))
    assert taught[0][0] == taught[1][0]
    assert taught[0][2] != taught[1][2]
    early = taught[1][1]
    assert early is not None
    assert early.open > 10_000
    assert errors[1][0] < errors[0][0]
    assert errors[1][1] < 0.03


def test_actions_come_go_and_combine(settings: Settings, slow_answers: tuple[PaymentsWorld, datetime]) -> None:
    """A new combination is offered and scored between nothing and certainty before it has data; a retired one is gone;
    the exploration is chosen on the log."""
    _, newest = slow_answers
    study = _study(
        actions=ActionParams(new=("exemption+network_token",), retired=("formatting",)), exploration=Tuned(cost=0.01)
    )
    made, _ = train(
        settings, study, load_rounds(settings, study, newest), ensure_rule(settings, study, ACTIONS), _quiet
    )
    policy = payments_policy(made)
    assert "exemption+network_token" in policy.spec.actions
    assert "formatting" not in policy.spec.actions
    context = PaymentsWorld(WorldParams(seed=5)).payments(500, 0, "new").context()
    scores = policy.scores(policy.encode(context))[:, policy.spec.actions.index("exemption+network_token")]
    assert ((scores > 0.05) & (scores < 0.99)).all()
    everyone = np.ones((500, len(policy.spec.actions)), dtype=np.bool_)
    choice = policy.choose(policy.encode(context), everyone, [f"n{k}" for k in range(500)])
    assert (choice.probabilities > 0).all()
    assert choice.probabilities.sum(axis=1) == pytest.approx(1)


def test_a_streamed_refit_is_the_one_in_memory(
    settings: Settings, slow_answers: tuple[PaymentsWorld, datetime]
) -> None:
    """The same rounds but the held-out ones, the same actions and words: the same predictions to rounding."""
    world, newest = slow_answers
    actions = ActionParams(retired=("formatting",), features={"three_ds": ("strong",), "exemption": ("strong",)})
    fresh = world.payments(500, 40_000, "fresh")
    predicted = []
    for streamed in (False, True):
        study = _study(actions=actions, streamed=streamed)
        loaded = load_rounds(settings, study, newest)
        made, _ = train(settings, study, loaded, ensure_rule(settings, study, ACTIONS), _quiet)
        predicted.append(_predicted(world, payments_policy(made), fresh))
    assert np.abs(predicted[0] - predicted[1]).max() < 2e-3
    with pytest.raises(ValueError, match="streamed goes with an additive oracle"):
        replace(_study().refit, oracle=LogisticParams(), streamed=True)


def test_an_oracle_without_memory_of_its_own_starts_cold(
    settings: Settings, slow_answers: tuple[PaymentsWorld, datetime]
) -> None:
    study = _study(warm_start=True)
    study = replace(study, refit=replace(study.refit, oracle=LogisticParams(iterations=20)))
    loaded = load_rounds(settings, study, slow_answers[1])
    made, _ = train(settings, study, loaded, ensure_rule(settings, study, ACTIONS), _quiet)
    assert ORACLE not in made.files
