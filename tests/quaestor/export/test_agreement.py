"""Bundle and training-time policy agree: probabilities to 1e-6 and the action of every event, on 100,000 inputs."""

from __future__ import annotations

import typing

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.inventory.graph_export import GraphRunner
from models.payments.exploration.epsilon_greedy import EpsilonGreedy
from models.payments.exploration.inverse_gap import InverseGap
from models.payments.exploration.rule import believe
from models.payments.oracles.boosted import BoostedParams
from models.payments.oracles.fit import OracleParams
from models.payments.oracles.logistic import LogisticParams
from models.payments.refit import RefitParams, refit
from quaestor.export.encoding import Encoded, Features
from quaestor.export.graph_safety import refuse_unsafe
from quaestor.export.payments_policy import PaymentsPolicy, draw
from quaestor.randomness import uniforms
from tests.conformance.test_order_policies import LAYOUT, exported, member, observed
from tests.rounds import bandit

pytestmark = pytest.mark.slow

INPUTS = 100_000
SHARP = InverseGap(gamma=1000.0, floor=0.0)
"""The rule that turns a difference of scores into the largest difference of probabilities."""

ORACLES: list[OracleParams] = [
    BoostedParams(trees=60) if kind is BoostedParams else kind() for kind in typing.get_args(OracleParams)
]


def _inputs(features: Features, actions: int, seed: int) -> tuple[Encoded, NDArray[np.bool_]]:
    """Random contexts within the declared ranges; a tenth of the numbers at an edge, every category code, eligible
    sets from one action to all."""
    chance = np.random.default_rng(seed)
    numeric = np.empty((INPUTS, len(features.numeric)), dtype=np.float32)
    for column, feature in enumerate(features.numeric):
        assert feature.lowest is not None
        assert feature.highest is not None
        values = chance.uniform(feature.lowest, feature.highest, INPUTS)
        edges = [feature.lowest, feature.highest, feature.missing, 0.0, -0.0, 1e-45, np.nextafter(0, 1)]
        numeric[:, column] = np.where(chance.random(INPUTS) < 0.1, chance.choice(edges, INPUTS), values)
    levels = [len(feature.levels) + 1 for feature in features.category]
    category = np.stack([chance.integers(0, count, INPUTS) for count in levels], axis=1)
    eligible = chance.random((INPUTS, actions)) < chance.choice([0.0, 0.3, 0.7, 1.0], INPUTS)[:, None]
    eligible[np.arange(INPUTS), chance.integers(0, actions, INPUTS)] = True
    return Encoded(numeric, category), eligible


@pytest.mark.parametrize(
    ("params", "rule"),
    [*((params, SHARP) for params in ORACLES), (LogisticParams(), EpsilonGreedy(epsilon=0.05))],
    ids=lambda made: made.kind,
)
def test_the_graph_decides_as_the_fitted_policy_does(params: OracleParams, rule: InverseGap | EpsilonGreedy) -> None:
    batch = bandit(4000, 0).batch
    made = refit(batch, RefitParams(default_action="a0", oracle=params, exploration=rule), 0.1, salt="agreement")
    policy = PaymentsPolicy(made.graph, made.spec)
    contexts, eligible = _inputs(made.spec.features, len(made.spec.actions), seed=1)
    events = [f"event-{number}" for number in range(INPUTS)]
    keys = policy.keys(events)
    choice = policy.choose(contexts, eligible, events)

    spread = np.array([feature.spread for feature in made.spec.features.numeric])
    noise = policy.noise(keys) * (made.spec.noise_scale * spread).astype(np.float32)
    seen = Encoded(contexts.numeric + noise, contexts.category)
    expected = rule.probabilities(believe(made.oracle, seen, rule.needs), eligible)
    assert np.abs(choice.probabilities - expected).max() <= 1e-6
    assert not choice.fallback.any()
    # Near a tie of scores the best of two may differ by rounding alone; none of these 100,000 is one.
    assert (choice.action == draw(expected, uniforms(keys, 1)[:, 0])).all()


@pytest.mark.parametrize("name", ["graph", "mlp"])
def test_an_order_network_decides_as_it_was_trained(name: str) -> None:
    """Both sides compute in float32, as training does: they agree to 1e-5 of the largest number in a row."""
    network, graph = member(name), exported(name)
    refuse_unsafe(graph, "policy.onnx")
    runner = GraphRunner(graph, network.window)
    for seed in range(10):
        seen = observed(seed, INPUTS // 10, network.window, spoiled=0.1 * (seed % 2))
        with torch.no_grad():
            expected = network(LAYOUT, seen)
        numbers = torch.cat((expected, seen.on_hand, seen.in_transit.flatten(1), seen.past_demand.flatten(1)), dim=1)
        reach = numbers.abs().amax(dim=1, keepdim=True)
        assert ((runner(LAYOUT, seen) - expected).abs() / reach).max() <= 1e-5
