"""Oracles for smoothed policies: taught with the noise that they will see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.payments.noisy_rounds import with_noise
from models.payments.oracles.additive import AdditiveParams
from models.payments.oracles.boosted import BoostedParams
from models.payments.oracles.fit import OracleParams
from models.payments.oracles.logistic import LogisticParams
from models.payments.oracles.oracle import TrainingSet, undescribed
from models.payments.refit import RefitParams, refit
from models.smoothing.payments import Replay, episode_rewards
from quaestor.export.encoding import CategoryFeature, Encoded, Features, NumericFeature
from quaestor.export.payments_policy import PaymentsPolicy
from tests.rounds import bandit

FEATURES = Features((NumericFeature("x", 0.0, 2.0),), (CategoryFeature("level", ("L0",)),))


def _training(rounds: int, seed: int) -> TrainingSet:
    chance = np.random.default_rng(seed)
    numeric = chance.normal(size=(rounds, 1)).astype(np.float32)
    contexts = Encoded(numeric, np.zeros((rounds, 1), dtype=np.int64))
    return TrainingSet(FEATURES, contexts, chance.integers(0, 2, rounds), chance.random(rounds), undescribed(2))


def test_every_round_comes_again_with_noise_of_its_own_and_weighs_the_same() -> None:
    plain = _training(4000, 0)
    noisy = with_noise(replace(plain, weight=np.arange(1.0, 4001.0)), 0.5, 3, seed=1)
    assert len(noisy) == 12_000
    assert noisy.weight is not None
    assert np.allclose(noisy.weight.reshape(3, -1).sum(axis=0), np.arange(1, 4001))
    assert (noisy.reward.reshape(3, -1) == plain.reward).all()
    assert (noisy.action.reshape(3, -1) == plain.action).all()
    noise = noisy.contexts.numeric.reshape(3, 4000) - plain.contexts.numeric[:, 0]
    assert noise.std() == pytest.approx(0.5 * 2.0, rel=0.05)
    assert np.abs(np.corrcoef(noise)[np.triu_indices(3, 1)]).max() < 0.08
    again = with_noise(plain, 0.5, 3, seed=1)
    assert (again.contexts.numeric == noisy.contexts.numeric).all()


@pytest.mark.slow
@pytest.mark.parametrize("oracle", [LogisticParams(), AdditiveParams(), BoostedParams(trees=40)], ids=lambda o: o.kind)
def test_what_is_taught_with_noise_predicts_better_under_noise(oracle: OracleParams) -> None:
    """Squared error of the predicted rewards to the truth, seen through noise of one standard deviation: lower in each
    of five worlds (1 in 32 by chance alone)."""
    params = RefitParams(default_action="a0", oracle=oracle)
    better = []
    for seed in range(5):
        made, test = bandit(4000, seed), bandit(4000, 100 + seed)
        errors = []
        for copies in (0, 4):
            fitted = refit(made.batch, replace(params, noisy_copies=copies), 1.0, salt="noise")
            policy = PaymentsPolicy(fitted.graph, fitted.spec)
            contexts = policy.encode(test.batch.logged.context)
            noise = np.random.default_rng(seed).standard_normal(contexts.numeric.shape).astype(np.float32)
            spread = np.array([feature.spread for feature in fitted.spec.features.numeric], dtype=np.float32)
            seen = Encoded(contexts.numeric + noise * spread, contexts.category)
            order = [test.batch.logged.actions.index(action) for action in fitted.spec.actions]
            errors.append(float(np.square(policy.scores(seen) - test.truth[:, order]).mean()))
        better.append(errors[1] < errors[0])
    assert all(better)


@pytest.mark.slow
def test_the_smoothed_policy_earns_no_less() -> None:
    """Mean reward under noise of one standard deviation, paired by seed over ten worlds: not worse by more than two
    standard errors."""
    gains = []
    for seed in range(10):
        made, test = bandit(4000, seed), bandit(4000, 100 + seed)
        earned = []
        for copies in (0, 4):
            fitted = refit(made.batch, RefitParams("a0", noisy_copies=copies), 1.0, salt="noise")
            policy = PaymentsPolicy(fitted.graph, fitted.spec)
            order = [test.batch.logged.actions.index(action) for action in fitted.spec.actions]
            eligible = np.asarray(test.batch.logged.eligible, dtype=bool)[:, order]
            replay = Replay(policy.encode(test.batch.logged.context), eligible, test.truth[:, order])
            earned.append(float(episode_rewards(policy, replay, 200, 200, seed).mean()))
        gains.append(earned[1] - earned[0])
    assert np.mean(gains) > -2 * np.std(gains, ddof=1) / len(gains) ** 0.5


def test_copies_below_none_are_refused() -> None:
    with pytest.raises(ValueError, match="noisy_copies"):
        RefitParams("a0", noisy_copies=-1)
