"""Every oracle with every exploration rule: the graph says what the arrays say, and the rules keep their promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto

from models.payments.exploration.bagging import Bagging
from models.payments.exploration.best import add_taken
from models.payments.exploration.epsilon_greedy import EpsilonGreedy
from models.payments.exploration.falcon import Falcon
from models.payments.exploration.fast_inverse_gap import FastInverseGap
from models.payments.exploration.greedy import Greedy
from models.payments.exploration.inverse_gap import InverseGap
from models.payments.exploration.pessimistic import Pessimistic
from models.payments.exploration.rule import Beliefs, Exploration, believe
from models.payments.exploration.softmax import Softmax
from models.payments.exploration.thompson import Thompson
from models.payments.exploration.uniform import Uniform
from models.payments.exploration.upper_bound import UpperBound
from models.payments.features import FeatureParams, fit_features
from models.payments.graph import Graph
from models.payments.oracles.additive import AdditiveParams
from models.payments.oracles.boosted import BoostedParams
from models.payments.oracles.embedding import EmbeddingParams
from models.payments.oracles.ensemble import EnsembleParams
from models.payments.oracles.fit import OracleParams, fit_oracle
from models.payments.oracles.fixed import preference
from models.payments.oracles.logistic import LogisticParams
from models.payments.oracles.oracle import Oracle, TrainingSet, UncertainOracle, VotingOracle, undescribed
from models.payments.oracles.ridge import RidgeParams
from models.payments.policy import policy_graph
from quaestor.errors import UsageError
from quaestor.export.encoding import Encoded, Features, encode
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.session import Session
from quaestor.export.spec import PaymentsSpec
from quaestor.ope.greedy import best_eligible
from tests.rounds import bandit

SMALL = AdditiveParams(terms=0)
ORACLES: list[OracleParams] = [
    AdditiveParams(),
    LogisticParams(),
    BoostedParams(trees=40),
    EmbeddingParams(epochs=4),
    RidgeParams(),
    EnsembleParams(members=3, member=SMALL),
]
RULES: list[Exploration] = [
    Greedy(),
    Uniform(),
    *(EpsilonGreedy(epsilon=e) for e in (0.0, 0.1, 1.0)),
    Softmax(),
    InverseGap(),
    InverseGap(gamma=20.0, floor=0.1),
    Falcon().at(20_000, 4),
    FastInverseGap(),
    UpperBound(),
    Thompson(draws=8),
    Bagging(),
    Pessimistic(),
]
ACTIONS = tuple(f"a{k}" for k in range(4))


def _fitted(params: OracleParams, seed: int = 0, rounds: int = 3000) -> tuple[Oracle, Features, Encoded]:
    batch = bandit(rounds, seed).batch
    features = fit_features(batch.logged.context, FeatureParams())
    contexts = encode(features, batch.logged.context)
    training = TrainingSet(features, contexts, batch.logged.action, batch.reward, undescribed(4))
    oracle = fit_oracle(params, training, seed=0)
    return oracle, features, contexts


@pytest.mark.parametrize("params", ORACLES, ids=lambda p: p.kind)
def test_the_exported_graph_is_the_policy(params: OracleParams) -> None:
    oracle, features, contexts = _fitted(params)
    eligible = bandit(3000, 0).batch.logged.eligible
    spec = PaymentsSpec("payments", "bandit", ACTIONS, "a0", features, 0.0, "salt")
    silence = np.zeros_like(contexts.numeric)
    unseen = Encoded(np.float32([[0.0], [9.0]]), np.zeros((2, 1), dtype=np.int64))
    for rule in RULES:
        if not _can(oracle, rule):
            with pytest.raises(UsageError, match="needs an oracle"):
                policy_graph(oracle, rule, spec)
            continue
        policy = PaymentsPolicy(policy_graph(oracle, rule, spec), spec)
        beliefs = believe(oracle, contexts, rule.needs)
        assert np.abs(policy.scores(contexts) - beliefs.scores).max() < 1e-6
        found = policy.probabilities(contexts, eligible, silence)
        # Where two actions are a rounding apart, graph and arrays may each prefer another.
        apart = np.abs(found - rule.probabilities(beliefs, eligible)).max(axis=1)
        assert np.quantile(apart, 0.999) < 5e-5, rule
        assert np.abs(policy.scores(unseen) - oracle.predict(unseen)).max() < 1e-6


def _can(oracle: Oracle, rule: Exploration) -> bool:
    able = {"scores": True, "spread": isinstance(oracle, UncertainOracle), "votes": isinstance(oracle, VotingOracle)}
    return able[rule.needs]


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
            Uniform().probabilities(Beliefs(scores), eligible),
            best_eligible(scores, eligible),
            best_eligible(fresh.truth, eligible),
        )
    ]
    uniform, learned, optimal = values
    assert (learned - uniform) / (optimal - uniform) > 0.8


@st.composite
def _scored(draw: st.DrawFn) -> tuple[Beliefs, np.ndarray]:
    rounds, actions = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    scores = draw(arrays(np.float64, (rounds, actions), elements=st.floats(0, 1)))
    eligible = draw(arrays(np.bool_, (rounds, actions)))
    eligible[np.arange(rounds), draw(st.integers(0, actions - 1))] = True
    spread = draw(arrays(np.float64, (rounds, actions), elements=st.floats(0, 0.3)))
    votes = draw(arrays(np.float64, (3, rounds, actions), elements=st.floats(0, 1)))
    return Beliefs(scores, spread, votes), eligible


@settings(max_examples=200)
@given(_scored(), st.sampled_from(RULES))
def test_probabilities_over_the_eligible(scored: tuple[Beliefs, np.ndarray], rule: Exploration) -> None:
    beliefs, eligible = scored
    probabilities = rule.probabilities(beliefs, eligible)
    assert np.abs(probabilities.sum(axis=1) - 1).max() < 1e-9
    assert (probabilities[~eligible] == 0).all()
    assert (probabilities >= 0).all()
    if rule.needs == "scores":
        best = np.where(eligible, beliefs.scores, -1).max(axis=1)
        taken = np.where(probabilities == probabilities.max(axis=1, keepdims=True), beliefs.scores, -1).max(axis=1)
        assert (taken == best).all()
    floor = getattr(rule, "floor", 0.0) / eligible.sum(axis=1, keepdims=True)
    assert (probabilities[eligible] >= (floor * eligible)[eligible] - 1e-15).all()


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_one_eligible_action_is_taken_for_sure(rule: Exploration) -> None:
    eligible = np.eye(5, dtype=np.bool_)
    draw = np.random.default_rng(0)
    beliefs = Beliefs(draw.random((5, 5)), draw.random((5, 5)), draw.random((3, 5, 5)))
    assert rule.probabilities(beliefs, eligible) == pytest.approx(np.eye(5), abs=1e-12)


def test_inverse_gap_weighting_by_hand() -> None:
    """Three actions with gaps 0, .1, .3 and γ = 10: 1/(3+1), 1/(3+3), and the rest to the best."""
    rule = InverseGap(gamma=10.0, floor=0.0)
    scores, everyone = np.array([[0.5, 0.4, 0.2, 0.9]]), np.array([[True, True, True, False]])
    expected = [1 - 1 / 4 - 1 / 6, 1 / 4, 1 / 6, 0.0]
    assert rule.probabilities(Beliefs(scores), everyone)[0] == pytest.approx(expected, abs=1e-12)


def test_a_floor_raises_what_is_below_it_and_costs_nothing_elsewhere() -> None:
    """The same with a floor of .6/3: what falls below it is raised to it, the best gives that up, the rest stays."""
    scores, everyone = np.array([[0.5, 0.4, 0.2, 0.9]]), np.array([[True, True, True, False]])
    found = InverseGap(gamma=10.0, floor=0.6).probabilities(Beliefs(scores), everyone)[0]
    assert found == pytest.approx([1 - 0.25 - 0.2, 0.25, 0.2, 0.0], abs=1e-12)
    low = InverseGap(gamma=10.0, floor=0.1).probabilities(Beliefs(scores), everyone)[0]
    assert low == pytest.approx(InverseGap(gamma=10.0, floor=0.0).probabilities(Beliefs(scores), everyone)[0])


def test_a_rule_of_thumb_prefers_in_order() -> None:
    scores = preference(("a2", "a0"), ACTIONS).scores
    assert np.argsort(-scores, kind="stable").tolist() == [2, 0, 1, 3]


def test_fast_inverse_gap_weighting_by_hand() -> None:
    """Losses .1, .2, .6 and γ = 10: .1/(.3 + 1), .1/(.3 + 5), and the rest to the best (arXiv 2107.02237)."""
    rule = FastInverseGap(gamma=10.0, floor=0.0)
    scores, everyone = np.array([[0.9, 0.8, 0.4]]), np.ones((1, 3), dtype=np.bool_)
    expected = [1 - 0.1 / 1.3 - 0.1 / 5.3, 0.1 / 1.3, 0.1 / 5.3]
    assert rule.probabilities(Beliefs(scores), everyone)[0] == pytest.approx(expected, abs=1e-12)


def test_optimism_prefers_the_unknown_and_pessimism_the_known() -> None:
    beliefs = Beliefs(np.array([[0.5, 0.45]]), np.array([[0.01, 0.2]]))
    everyone = np.ones((1, 2), dtype=np.bool_)
    assert UpperBound(alpha=1.0, floor=0.0).probabilities(beliefs, everyone)[0].tolist() == [0.0, 1.0]
    assert Pessimistic(beta=1.0).probabilities(beliefs, everyone)[0].tolist() == [1.0, 0.0]


def test_thompson_takes_an_action_as_often_as_it_may_be_best() -> None:
    """Two actions a gap of .1 apart, each ± .1: the better one is better with probability Φ(.1/.1√2) = .760."""
    beliefs = Beliefs(np.array([[0.5, 0.4]]), np.full((1, 2), 0.1))
    rule = Thompson(draws=4000, floor=0.0)
    found = rule.probabilities(beliefs, np.ones((1, 2), dtype=np.bool_))[0]
    assert found == pytest.approx([0.760, 0.240], abs=0.03)


def test_falcon_explores_less_as_it_learns() -> None:
    gammas = [Falcon().at(rounds, 4).gamma for rounds in (1_000, 10_000, 100_000)]
    assert gammas == sorted(gammas)
    assert gammas[2] / gammas[0] == pytest.approx((100 * np.log(1_000) / np.log(100_000)) ** 0.5)


def test_a_score_that_is_no_number_is_never_the_best() -> None:
    """Where a graph's scores overflowed, it takes another action or gives no distribution, which is a fallback."""
    graph = Graph(3)
    scores, eligible = graph.input("scores", TensorProto.DOUBLE, 3), graph.input("eligible", TensorProto.BOOL, 3)
    session = Session(graph.build({"taken": add_taken(graph, scores, eligible)}), "graph")
    given_scores = np.array([[np.nan, 0.3, 0.2], [0.3, np.nan, 0.2], [0.2, 0.3, np.nan], [np.nan] * 3, [0.1, 0.3, 0.3]])
    rows = [given_scores, *(row[None] for row in given_scores)]
    for some in rows:
        taken = session.run("taken", {"scores": some, "eligible": np.ones(some.shape, dtype=np.bool_)})
        assert (taken[np.isnan(some)] == 0).all()
        assert (taken.sum(axis=1) <= 1).all()
    assert taken.tolist() == [[0, 1, 0]]
