"""Every oracle with every exploration rule: the graph says what the arrays say, and the rules keep their promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.payments.exploration.epsilon_greedy import EpsilonGreedy
from models.payments.exploration.inverse_gap import InverseGap
from models.payments.exploration.rule import Exploration
from models.payments.features import FeatureParams, fit_features
from models.payments.oracles.boosted import BoostedParams
from models.payments.oracles.fit import OracleParams, fit_oracle
from models.payments.oracles.fixed import preference
from models.payments.oracles.logistic import LogisticParams
from models.payments.oracles.oracle import Oracle
from models.payments.policy import policy_graph
from quaestor.export.encoding import Encoded, Features, encode
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.spec import PaymentsSpec
from tests.rounds import bandit

ORACLES = [LogisticParams(), BoostedParams(trees=40)]
RULES = [*(EpsilonGreedy(epsilon=e) for e in (0.0, 0.1, 1.0)), InverseGap(), InverseGap(gamma=20.0, floor=0.1)]
ACTIONS = tuple(f"a{k}" for k in range(4))


def _fitted(params: OracleParams, seed: int = 0, rounds: int = 3000) -> tuple[Oracle, Features, Encoded]:
    batch = bandit(rounds, seed).batch
    features = fit_features(batch.logged.context, FeatureParams())
    contexts = encode(features, batch.logged.context)
    oracle = fit_oracle(params, features, contexts, batch.logged.action, batch.reward, 4, seed=0)
    return oracle, features, contexts


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("params", ORACLES, ids=lambda p: p.kind)
def test_the_exported_graph_is_the_policy(params: OracleParams, rule: Exploration) -> None:
    oracle, features, contexts = _fitted(params)
    eligible = bandit(3000, 0).batch.logged.eligible
    spec = PaymentsSpec("payments", "bandit", ACTIONS, "a0", features, 0.0, "salt")
    policy = PaymentsPolicy(policy_graph(oracle, rule, spec), spec)
    silence = np.zeros_like(contexts.numeric)
    scores = oracle.predict(contexts)
    assert np.abs(policy.scores(contexts) - scores).max() < 1e-6
    assert np.abs(policy.probabilities(contexts, eligible, silence) - rule.probabilities(scores, eligible)).max() < 1e-6
    unseen = Encoded(np.float32([[0.0], [9.0]]), np.zeros((2, 1), dtype=np.int64))
    assert np.abs(policy.scores(unseen) - oracle.predict(unseen)).max() < 1e-6


@pytest.mark.parametrize("params", ORACLES, ids=lambda p: p.kind)
def test_the_same_rounds_give_the_same_graph(params: OracleParams) -> None:
    graphs = []
    for _ in range(2):
        oracle, features, _ = _fitted(params)
        spec = PaymentsSpec("payments", "bandit", ACTIONS, "a0", features, 0.1, "salt")
        graphs.append(policy_graph(oracle, InverseGap(), spec))
    assert graphs[0] == graphs[1]


@pytest.mark.parametrize("params", ORACLES, ids=lambda p: p.kind)
def test_an_oracle_learns_what_there_is_to_learn(params: OracleParams) -> None:
    """Its greedy policy takes at least 80 % of the way from uniform to optimal on fresh rounds."""
    oracle, features, _ = _fitted(params, rounds=20_000)
    fresh = bandit(5000, 1)
    eligible = fresh.batch.logged.eligible
    scores = oracle.predict(encode(features, fresh.batch.logged.context))
    values = [
        (fresh.truth * policy).sum(axis=1).mean()
        for policy in (
            EpsilonGreedy(epsilon=1.0).probabilities(scores, eligible),
            EpsilonGreedy(epsilon=0.0).probabilities(scores, eligible),
            EpsilonGreedy(epsilon=0.0).probabilities(fresh.truth, eligible),
        )
    ]
    uniform, learned, optimal = values
    assert (learned - uniform) / (optimal - uniform) > 0.8


@st.composite
def _scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    rounds, actions = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    scores = draw(arrays(np.float64, (rounds, actions), elements=st.floats(0, 1)))
    eligible = draw(arrays(np.bool_, (rounds, actions)))
    eligible[np.arange(rounds), draw(st.integers(0, actions - 1))] = True
    return scores, eligible


@settings(max_examples=200)
@given(_scored(), st.sampled_from(RULES))
def test_probabilities_over_the_eligible(scored: tuple[np.ndarray, np.ndarray], rule: Exploration) -> None:
    scores, eligible = scored
    probabilities = rule.probabilities(scores, eligible)
    assert np.abs(probabilities.sum(axis=1) - 1).max() < 1e-9
    assert (probabilities[~eligible] == 0).all()
    assert (probabilities >= 0).all()
    best = np.where(eligible, scores, -1).max(axis=1)
    taken = np.where(probabilities == probabilities.max(axis=1, keepdims=True), scores, -1).max(axis=1)
    assert (taken == best).all()
    if isinstance(rule, InverseGap):
        floor = rule.floor / eligible.sum(axis=1, keepdims=True)
        assert (probabilities[eligible] >= (floor * eligible)[eligible] - 1e-15).all()


def test_inverse_gap_weighting_by_hand() -> None:
    """Three actions with gaps 0, .1, .3 and γ = 10: 1/(3+1), 1/(3+3), and the rest to the best."""
    rule = InverseGap(gamma=10.0, floor=0.0)
    scores, everyone = np.array([[0.5, 0.4, 0.2, 0.9]]), np.array([[True, True, True, False]])
    expected = [1 - 1 / 4 - 1 / 6, 1 / 4, 1 / 6, 0.0]
    assert rule.probabilities(scores, everyone)[0] == pytest.approx(expected, abs=1e-12)


def test_a_rule_of_thumb_prefers_in_order() -> None:
    scores = preference(("a2", "a0"), ACTIONS).scores
    assert np.argsort(-scores, kind="stable").tolist() == [2, 0, 1, 3]
