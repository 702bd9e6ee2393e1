"""Smoothed payments: expected rewards, episodes by number, attacks within their budget and never beyond the bound."""

from __future__ import annotations

import numpy as np
import pytest

from models.payments.refit import rule_of_thumb
from models.smoothing.payments import Bias, PaymentsAttack, Replay, Steepest, biases, episode_rewards
from quaestor.certification.certificate import CertificateParams, Subject, certify
from quaestor.export.encoding import Encoded
from quaestor.export.payments_policy import PaymentsPolicy, draw
from tests.evidence import policy
from tests.rounds import bandit

LENGTH, NOISE_SCALE = 50, 0.1


@pytest.fixture(scope="module")
def fitted() -> PaymentsPolicy:
    made = policy()
    return PaymentsPolicy(made.graph, made.spec)


@pytest.fixture(scope="module")
def replay(fitted: PaymentsPolicy) -> Replay:
    made = bandit(400, seed=1)
    order = [made.batch.logged.actions.index(action) for action in fitted.spec.actions]
    eligible = np.asarray(made.batch.logged.eligible, dtype=bool)[:, order]
    return Replay(fitted.encode(made.batch.logged.context), eligible, made.truth[:, order])


def test_any_episode_can_be_played_again(fitted: PaymentsPolicy, replay: Replay) -> None:
    everything = episode_rewards(fitted, replay, LENGTH, 9, seed=1)
    assert np.array_equal(episode_rewards(fitted, replay, LENGTH, 4, seed=1, first=3), everything[3:7])
    assert not (episode_rewards(fitted, replay, LENGTH, 9, seed=2) == everything).any()


def test_draws_of_a_trace_share_their_payments(fitted: PaymentsPolicy, replay: Replay) -> None:
    rewards = episode_rewards(fitted, replay, LENGTH, 60, seed=1, draws=3).reshape(-1, 3)
    assert len(np.unique(rewards)) == rewards.size
    assert rewards.std(axis=1).mean() < 0.5 * rewards.std()


def test_the_expected_reward_is_the_mean_of_drawn_actions_and_outcomes(fitted: PaymentsPolicy, replay: Replay) -> None:
    chance = np.random.default_rng(3)
    rows = chance.integers(0, len(replay.contexts), 40_000)
    seen = replay.rows(rows)
    noise = chance.standard_normal((len(rows), 1), dtype=np.float32)
    action = draw(fitted.probabilities(seen.contexts, seen.eligible, noise), chance.random(len(rows)))
    outcome = chance.random(len(rows)) < seen.success[np.arange(len(rows)), action]
    expected = episode_rewards(fitted, replay, LENGTH, 800, seed=1).mean()
    assert outcome.mean() == pytest.approx(expected, abs=0.012)


@pytest.mark.parametrize("budget", [0.0, 0.05, 3.0])
def test_an_attack_spends_its_budget(budget: float, fitted: PaymentsPolicy, replay: Replay) -> None:
    rows = replay.rows(np.arange(4 * LENGTH))
    attacks: list[PaymentsAttack] = [*biases(1, budget, 2, seed=1).values(), Steepest(budget, NOISE_SCALE)]
    for attack in attacks:
        spent = np.square(attack(fitted, rows, LENGTH)).reshape(4, -1).sum(axis=1) ** 0.5
        np.testing.assert_allclose(spent, budget, rtol=1e-9, atol=1e-12)


def test_a_policy_that_reads_no_numbers_cannot_be_attacked() -> None:
    rule = rule_of_thumb("s", ("a", "b"), "a", ("b",), 0.5, "salt")
    nothing = Encoded(np.zeros((100, 0), dtype=np.float32), np.zeros((100, 0), dtype=np.int64))
    replay = Replay(nothing, np.ones((100, 2), dtype=bool), np.random.default_rng(0).random((100, 2)))
    attacked, plain = (
        episode_rewards(PaymentsPolicy(rule.graph, rule.spec), replay, LENGTH, 5, seed=1, attack=attack)
        for attack in (Steepest(0.2, NOISE_SCALE), None)
    )
    assert (attacked == plain).all()


def test_no_attack_beats_the_certificate_and_the_gradient_is_the_strongest(
    fitted: PaymentsPolicy, replay: Replay
) -> None:
    subject = Subject("s", "reward", "u", "e", "w", "n", 1.0, "0", "1", ())
    params = CertificateParams(NOISE_SCALE, (0.2,), episodes=600)
    values = episode_rewards(fitted, replay, LENGTH, 600, seed=1)
    bound = certify(values, subject, params)[0]

    def under(attack: PaymentsAttack) -> float:
        return float(episode_rewards(fitted, replay, LENGTH, 600, seed=2, attack=attack).mean())

    gradient = under(Steepest(0.2, NOISE_SCALE))
    constant = min(under(Bias(np.array([sign]), 0.2)) for sign in (1.0, -1.0))
    assert bound <= gradient < constant
    assert gradient < values.mean()
