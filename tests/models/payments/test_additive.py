"""The additive oracle: it finds what is there, streams, repeats itself, and knows new actions by their parts."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from models.payments import training_rows
from models.payments.actions import ActionParams, described, live_actions, refuse_default
from models.payments.features import FeatureParams, fit_features
from models.payments.oracles.action_prior import ActionPrior, table_posterior
from models.payments.oracles.additive import AdditiveParams
from models.payments.oracles.additive_fit import fit_additive
from models.payments.oracles.oracle import TrainingSet, undescribed
from models.payments.refit import RefitParams, refit
from models.payments.stream import fit_from_store
from quaestor.errors import UsageError
from quaestor.export.encoding import Encoded, encode
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.log.ingest import ingest_file
from quaestor.log.maturity import MaturityParams, judge, matured_batch
from quaestor.settings import Settings
from quaestor.store import Store, rounds
from quaestor.store.training import TrainingWindow
from tests.quaestor.events import decision, outcome, write
from tests.rounds import bandit

ACTIONS = ("none", "route", "token", "token+route")


def _world(count: int, seed: int, taken: tuple[int, ...] = (0, 1, 2, 3)) -> tuple[TrainingSet, np.ndarray]:
    """Combined actions whose parts add up, with a step in x0 and a product of x1 and x2 on one action each."""
    draw, fixed = np.random.default_rng(seed), np.random.default_rng(5)
    x, level = draw.normal(size=(count, 3)), draw.integers(0, 6, count)
    part = fixed.normal(0, 0.7, (2, 6))
    logit = 0.5 + np.zeros((count, 4))
    for action, parts in enumerate(((), (0,), (1,), (0, 1))):
        logit[:, action] += sum(part[p][level] for p in parts)
    logit[:, 1] += 1.5 * (x[:, 0] > 0.7)
    logit[:, 2] += 1.2 * np.tanh(x[:, 1] * x[:, 2])
    truth = expit(logit)
    action = draw.choice(taken, count)
    reward = (draw.random(count) < truth[np.arange(count), action]).astype(np.float64)
    context = pl.DataFrame({f"numeric_x{k}": x[:, k] for k in range(3)} | {"category_level": [f"L{k}" for k in level]})
    features = fit_features(context, FeatureParams())
    words = described(ACTIONS, ActionParams())
    return TrainingSet(features, encode(features, context), action, reward, words), truth


def test_curves_and_pairs_are_found_and_only_those() -> None:
    training, truth = _world(30_000, 0)
    plain = fit_additive(AdditiveParams(terms=0), training, None)
    found = fit_additive(AdditiveParams(), training, None)
    assert found.terms.curves == (0,)
    assert found.terms.pairs == ((1, 2),)
    errors = [np.square(oracle.predict(training.contexts) - truth).mean() for oracle in (plain, found)]
    assert errors[1] < 0.4 * errors[0]


def test_no_term_enters_where_there_is_none() -> None:
    """In 20 worlds without curves or pairs at a level of 5 %: more than 4 false ones have a chance below 1 in 300."""
    wrong = 0
    for seed in range(20):
        training, _ = _world(4000, seed, taken=(0, 3))
        wrong += bool(fit_additive(AdditiveParams(), training, None).terms.sizes())
    assert wrong <= 4


def test_an_action_without_rounds_is_predicted_from_its_parts() -> None:
    """token+route was never taken; its reward follows from token and from route, not from the mean."""
    training, truth = _world(30_000, 1, taken=(0, 1, 2))
    oracle = fit_additive(AdditiveParams(terms=0), training, None)
    blind = fit_additive(AdditiveParams(terms=0), dataclasses.replace(training, described=undescribed(4)), None)
    near, far = (np.square(o.predict(training.contexts)[:, 3] - truth[:, 3]).mean() for o in (oracle, blind))
    assert near < 0.5 * far
    spread = oracle.spread(training.contexts)
    assert spread[:, 3].mean() > 1.5 * spread[:, :3].mean()  # and it knows that it knows less


def test_predictions_are_as_far_off_as_the_oracle_says() -> None:
    """Over 20 logs: standardised errors of predictions have a root mean square near 1."""
    ratios = []
    for seed in range(20):
        training, truth = _world(2500, seed, taken=(0, 3))
        oracle = fit_additive(AdditiveParams(terms=0), training, None)
        error = (oracle.predict(training.contexts) - truth) / oracle.spread(training.contexts)
        ratios.append(np.square(error[:, [0, 3]]).mean())
    assert 0.5 < np.sqrt(np.mean(ratios)) < 1.4


def test_weights_are_repetitions() -> None:
    """Counting a round twice is having it twice."""
    training, _ = _world(3000, 2)
    twice = np.where(np.arange(3000) % 3 == 0, 2.0, 1.0)
    index = np.repeat(np.arange(3000), twice.astype(int))
    doubled = dataclasses.replace(
        training, contexts=training.contexts.rows(index), action=training.action[index], reward=training.reward[index]
    )
    weighted = fit_additive(AdditiveParams(terms=0), dataclasses.replace(training, weight=twice), None)
    repeated = fit_additive(AdditiveParams(terms=0), doubled, None)
    assert np.abs(weighted.predict(training.contexts) - repeated.predict(training.contexts)).max() < 1e-4


def test_a_warm_start_ends_where_a_cold_one_does_with_fewer_sweeps() -> None:
    training, _ = _world(8000, 3)
    target = fit_additive(AdditiveParams(sweeps=30, terms=0), training, None)
    cold, warm = (fit_additive(AdditiveParams(sweeps=1, terms=0), training, parent) for parent in (None, target))
    far, near = (
        np.abs(oracle.predict(training.contexts) - target.predict(training.contexts)).mean() for oracle in (cold, warm)
    )
    assert near < 0.3 * far


def test_a_table_s_posterior_is_that_of_its_gaussian() -> None:
    """Against the closed form of one row: (Σ⁻¹ + diag H)⁻¹ (g + H w)."""
    prior = ActionPrior(np.array([[1.0], [1.0], [0.0]]), 0.3, 0.2, np.array([0.1, 0.2, 0.3]))
    curvature, pull = np.array([[4.0, 0.0, 9.0]]), np.array([[1.0, 0.0, -2.0]])
    found = table_posterior(prior, pull, curvature, steps=0, each_own=True)
    spread = np.linalg.inv(np.linalg.inv(prior.covariance()) + np.diag(curvature[0]))
    assert found.mean[0] == pytest.approx(spread @ pull[0])
    assert found.variance[0] == pytest.approx(np.diag(spread))


def test_empirical_bayes_finds_the_variances() -> None:
    draw = np.random.default_rng(0)
    truth = ActionPrior(np.zeros((5, 0)), 0.4, 0.0, np.full(5, 0.1))
    effects = draw.multivariate_normal(np.zeros(5), truth.covariance(), 3000)
    curvature = np.full(effects.shape, 20.0)
    pull = curvature * (effects + draw.normal(size=effects.shape) / np.sqrt(20.0))
    start = ActionPrior(np.zeros((5, 0)), 0.05, 0.0, np.full(5, 0.5))
    found = table_posterior(start, pull, curvature, steps=60, each_own=False).prior
    assert found.shared == pytest.approx(0.4, rel=0.1)
    assert found.own.mean() == pytest.approx(0.1, rel=0.1)


def test_what_is_described_and_what_is_live() -> None:
    params = ActionParams(new=("wallet+token",), retired=("none",), features={"card": ("cheap",), "token": ("cheap",)})
    actions = live_actions(("card", "none", "token"), params)
    assert actions == ("card", "token", "wallet+token")
    assert described(actions, params).tolist() == [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]  # cheap, token
    with pytest.raises(UsageError, match="No action 'tokken'"):
        live_actions(("card", "token"), ActionParams(retired=("tokken",)))
    with pytest.raises(UsageError, match="Every action is retired"):
        live_actions(("card",), ActionParams(retired=("card",)))
    with pytest.raises(UsageError, match="default_action 'crad' is not an action of the log"):
        refuse_default("crad", ("card", "token"))


def test_a_policy_offers_new_actions_and_no_retired_ones() -> None:
    batch = bandit(3000, 0).batch
    params = RefitParams("a0", oracle=AdditiveParams(terms=0), actions=ActionParams(new=("a9",), retired=("a1",)))
    made = refit(batch, params, 0.0, "salt")
    assert made.spec.actions == ("a0", "a2", "a3", "a9")
    policy = PaymentsPolicy(made.graph, made.spec)
    contexts = policy.encode(batch.logged.context)
    choice = policy.choose(contexts, np.ones((3000, 4), dtype=np.bool_), batch.logged.event_ids.to_list())
    assert (choice.probabilities > 0).all()
    assert np.isfinite(policy.scores(contexts)).all()


def _ingested(store: Store, folder: Path, order: int) -> None:
    """Two hundred decisions in a shuffled order, each twice, some corrected late, some without an outcome."""
    mixed = np.random.default_rng(order).permutation(200)
    decisions = [decision(int(n), numeric_amount=float(n % 7) if n % 11 else None) for n in [*mixed, *mixed[:50]]]
    outcomes = [outcome(int(n)) for n in mixed if n % 5] + [
        outcome(int(n), hours=2, revision=1) for n in mixed if n < 9
    ]
    corrected = [outcome(n, hours=2, revision=2, reward=float(n % 4 == 0)) for n in (3, 8)]
    for kind, rows in (("outcomes", outcomes), ("decisions", decisions), ("outcomes", corrected)):
        name = f"{kind}-{len(rows)}.parquet"
        fixed = [dict(row, revision=row.get("revision", 0)) if kind == "outcomes" else row for row in rows]
        ingest_file(store, kind, write(folder / str(order), name, fixed))


def test_the_stream_holds_what_maturity_says_whatever_the_order_of_arrival(tmp_path: Path) -> None:
    window, features = TrainingWindow("shop", datetime(2026, 5, 1), 24.0, 0.0), FeatureParams(minimum_count=5)
    streamed = []
    for order in (0, 1):
        store = Settings(data=tmp_path / f"data-{order}").store
        _ingested(store, tmp_path, order)
        streamed.append(fit_from_store(store, window, AdditiveParams(terms=0), features))
    one, other = (fitted.oracle for fitted in streamed)
    assert (one.weights == other.weights).all()  # type: ignore[attr-defined]
    assert all((a == b).all() for a, b in zip(one.tables, other.tables, strict=True))  # type: ignore[attr-defined]

    with store.read() as connection:
        found = rounds.decisions(connection, "shop"), rounds.outcomes(connection, "shop")
    batch = matured_batch(judge(*found, MaturityParams(24.0, 0.0), window.as_of))
    assert [fitted.rounds for fitted in streamed] == [len(batch)] * 2
    own = fit_features(batch.logged.context, features)
    contexts = encode(own, batch.logged.context)
    training = TrainingSet(own, contexts, batch.logged.action, batch.reward, undescribed(2))
    whole = fit_additive(AdditiveParams(terms=0), training, None)
    assert (
        np.abs(one.predict(encode(streamed[0].features, batch.logged.context)) - whole.predict(contexts)).max() < 1e-4
    )


def test_chunks_on_disk_teach_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    training, _ = _world(5000, 4)
    monkeypatch.setattr(training_rows, "CHUNK", 1000)
    monkeypatch.setattr(training_rows, "IN_MEMORY", 2)
    from models.payments.oracles.additive import standardised
    from models.payments.oracles.additive_fit import fit_rows

    results = []
    for folder in (None, tmp_path):
        rows = training_rows.TrainingRows(4, folder)
        design = standardised(training.features, training.contexts.numeric)
        rows.add(design, training.contexts.category.T.astype(np.int32), training.action, training.reward, None)
        results.append(fit_rows(AdditiveParams(), training.features, rows, training.described, None))
    unseen = Encoded(np.zeros((1, 3), dtype=np.float32), np.zeros((1, 1), dtype=np.int64))
    assert (results[0].predict(training.contexts) == results[1].predict(training.contexts)).all()
    assert results[0].terms == results[1].terms
    assert np.isfinite(results[0].predict(unseen)).all()
