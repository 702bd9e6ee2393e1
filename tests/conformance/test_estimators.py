"""Every estimator: unbiased, covered by its interval, exact for the logging policy, and paired differences."""

from __future__ import annotations

import numpy as np
import pytest

from quaestor.ope.estimators import ESTIMATORS, Estimator
from quaestor.ope.interval import normal_interval
from quaestor.ope.on_policy import on_policy
from quaestor.ope.weights import overlap
from tests.rounds import bandit, greedy

SEEDS = 300


@pytest.fixture(params=ESTIMATORS.values(), ids=ESTIMATORS.keys())
def estimator(request: pytest.FixtureRequest) -> Estimator:
    return request.param


def test_the_interval_covers_the_truth_as_often_as_it_says(estimator: Estimator) -> None:
    """95 % intervals cover in 300 runs at least 270 and at most 297 times: a binomial falls outside with
    probability below 0.002 when the coverage is 95 %."""
    covered = paired = 0
    for seed in range(SEEDS):
        world = bandit(1500, seed)
        eligible = world.batch.logged.eligible
        target, other = greedy(world.truth, eligible), eligible / eligible.sum(axis=1, keepdims=True)
        crude = np.clip(world.truth + 0.2, 0, 1)  # a biased oracle must not bias DR
        value = float((world.truth * target).sum(axis=1).mean())
        difference = value - float((world.truth * other).sum(axis=1).mean())
        one, two = (estimator(world.batch, policy, crude) for policy in (target, other))
        interval, gap = normal_interval(one), normal_interval(one.minus(two))
        covered += interval.lower <= value <= interval.upper
        paired += gap.lower <= difference <= gap.upper
    assert 270 <= covered <= 297
    assert 270 <= paired <= 297


def test_the_logging_policy_is_worth_what_it_earned(estimator: Estimator) -> None:
    world = bandit(500, 1)
    predicted = np.zeros_like(world.truth)
    own = estimator(world.batch, world.logging, predicted)
    assert own.value == pytest.approx(on_policy(world.batch).value, abs=1e-12)
    assert own.influence.mean() == pytest.approx(0, abs=1e-12)


def test_a_policy_does_not_differ_from_itself(estimator: Estimator) -> None:
    world = bandit(400, 2)
    target = greedy(world.truth, world.batch.logged.eligible)
    one = estimator(world.batch, target, world.truth)
    nothing = normal_interval(one.minus(one))
    assert (nothing.value, nothing.lower, nothing.upper) == (0.0, 0.0, 0.0)


def test_what_is_not_a_policy_is_refused(estimator: Estimator) -> None:
    world = bandit(50, 3)
    eligible = world.batch.logged.eligible
    outside = np.full(eligible.shape, 1 / eligible.shape[1])
    with pytest.raises(ValueError, match="not eligible"):
        estimator(world.batch, outside, world.truth)
    with pytest.raises(ValueError, match="sum to 1"):
        estimator(world.batch, eligible * 0.1, world.truth)
    with pytest.raises(ValueError, match="must be"):
        estimator(world.batch, outside[:, :2], world.truth)


def test_a_greedy_log_is_worth_little_for_another_policy() -> None:
    world = bandit(2000, 4, sharpness=6.0)
    eligible = world.batch.logged.eligible
    uniform = eligible / eligible.sum(axis=1, keepdims=True)
    assert overlap(world.batch, uniform).effective_size < 0.1 * len(world.batch)
    own = overlap(world.batch, world.logging)
    assert own.effective_size == pytest.approx(len(world.batch))


def test_rounded_propensities_show_in_the_mean_weight() -> None:
    """A logger that rounds 0.04 to 0.1 leaves a mean weight that is not 1."""
    world = bandit(20_000, 5, sharpness=2.0)
    logged = world.batch.logged
    rounded = type(logged)(**{**logged.__dict__, "propensity": np.maximum(logged.propensity.round(1), 0.1)})
    batch = type(world.batch)(rounded, world.batch.reward, world.batch.defaulted)
    uniform = logged.eligible / logged.eligible.sum(axis=1, keepdims=True)
    found = overlap(batch, uniform)
    assert abs(found.mean_weight - 1) > 3 * found.mean_weight_error
