"""Every estimator: covered by its interval where it may decide, exact for the logging policy, and paired."""

from __future__ import annotations

import numpy as np
import pytest

from quaestor.ope.estimators import ESTIMATORS, Known
from quaestor.ope.interval import normal_interval
from quaestor.ope.on_policy import on_policy
from quaestor.ope.protocol import paired_difference
from quaestor.ope.stratified import Stratified, strata_of_action_set, strata_of_feature
from quaestor.ope.target_rounds import TargetRounds, target_rounds
from tests.rounds import Bandit, bandit, greedy

SEEDS = 300
COVERING = ("ips", "snips", "dr", "sndr")
DECIDING = [name for name, known in ESTIMATORS.items() if known.cannot_decide is None]


@pytest.fixture(params=ESTIMATORS)
def known(request: pytest.FixtureRequest) -> Known:
    return ESTIMATORS[request.param]


def seen(world: Bandit, target: np.ndarray) -> TargetRounds:
    """The world's log from a target policy, with a biased oracle."""
    return target_rounds(world.batch, target, np.clip(world.truth + 0.2, 0, 1))


def uniform(world: Bandit) -> np.ndarray:
    """The uniform policy."""
    eligible = world.batch.logged.eligible
    return eligible / eligible.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def covered() -> dict[str, tuple[int, int]]:
    """How many of the 95 % intervals of 300 logs hold the true value and the true paired difference."""
    tally = dict.fromkeys(COVERING, (0, 0))
    for seed in range(SEEDS):
        world = bandit(1500, seed)
        target, other = greedy(world.truth, world.batch.logged.eligible), uniform(world)
        value = float((world.truth * target).sum(axis=1).mean())
        difference = value - float((world.truth * other).sum(axis=1).mean())
        one, two = seen(world, target), seen(world, other)
        for name, (single, paired) in tally.items():
            estimator = ESTIMATORS[name].estimator
            interval = normal_interval(estimator(one))
            gap = normal_interval(paired_difference(estimator, one, two))
            single += interval.lower <= value <= interval.upper
            paired += gap.lower <= difference <= gap.upper
            tally[name] = (single, paired)
    return tally


@pytest.mark.parametrize("name", COVERING)
def test_the_interval_covers_the_truth_as_often_as_it_says(name: str, covered: dict[str, tuple[int, int]]) -> None:
    """95 % intervals cover in 300 runs at least 270 and at most 297 times: a binomial falls outside with
    probability below 0.002 when the coverage is 95 %."""
    assert all(270 <= count <= 297 for count in covered[name])


def test_influence_has_mean_zero_and_one_entry_a_round(known: Known) -> None:
    world = bandit(500, 1)
    found = known.estimator(seen(world, uniform(world)))
    assert found.influence.shape == (500,)
    assert found.influence.mean() == pytest.approx(0, abs=1e-12)
    assert 0 <= found.value <= 1.2


@pytest.mark.parametrize("name", DECIDING)
def test_the_logging_policy_is_worth_what_it_earned(name: str) -> None:
    """With weights of 1 and a model that predicts nothing, an unbiased estimator is the mean reward."""
    world = bandit(500, 1)
    own = ESTIMATORS[name].estimator(target_rounds(world.batch, world.logging, np.zeros_like(world.truth)))
    if name == "mrdr":  # it fits a model of its own, and is the mean only to within that model's chance
        assert own.value == pytest.approx(on_policy(world.batch).value, abs=0.02)
    else:
        assert own.value == pytest.approx(on_policy(world.batch).value, abs=1e-12)


def test_a_policy_does_not_differ_from_itself(known: Known) -> None:
    world = bandit(400, 2)
    rounds = seen(world, greedy(world.truth, world.batch.logged.eligible))
    nothing = normal_interval(paired_difference(known.estimator, rounds, rounds))
    assert (nothing.value, nothing.lower, nothing.upper) == (0.0, 0.0, 0.0)


def test_one_stratum_is_the_whole_and_merchants_add_up(known: Known) -> None:
    world = bandit(3000, 3)
    rounds = seen(world, uniform(world))
    whole = known.estimator(rounds)
    one = Stratified(known.estimator, np.zeros(len(rounds), dtype=np.int64))(rounds)
    assert one.value == pytest.approx(whole.value, abs=1e-9)
    assert one.influence == pytest.approx(whole.influence, abs=1e-9)
    logged = world.batch.logged
    for strata in (strata_of_feature(logged, "level"), strata_of_action_set(logged)):
        found = Stratified(known.estimator, strata)(rounds)
        error = float(whole.influence.std() / np.sqrt(len(rounds)))
        # A regularised estimator may be biased differently in a small stratum.
        assert abs(found.value - whole.value) < (3 * error if known.cannot_decide is None else 0.1)
        assert found.influence.mean() == pytest.approx(0, abs=1e-12)


def test_rounds_in_another_order_give_the_same_value(known: Known) -> None:
    world = bandit(300, 4)
    rounds = seen(world, uniform(world))
    backwards = rounds.rows(np.arange(len(rounds))[::-1].copy())
    assert known.estimator(backwards).value == pytest.approx(known.estimator(rounds).value, abs=1e-9)


def test_what_needs_a_model_says_so(known: Known) -> None:
    world = bandit(50, 5)
    without = target_rounds(world.batch, uniform(world))
    if known.needs_model:
        with pytest.raises(ValueError, match="predicted rewards"):
            known.estimator(without)
    else:
        assert np.isfinite(known.estimator(without).value)


def test_predictions_for_actions_that_cannot_be_taken_do_not_matter(known: Known) -> None:
    world = bandit(200, 6)
    crude = np.clip(world.truth + 0.2, 0, 1)
    lost = np.where(world.batch.logged.eligible, crude, np.nan)
    first, second = (known.estimator(target_rounds(world.batch, uniform(world), q)) for q in (crude, lost))
    assert first.value == pytest.approx(second.value, abs=1e-12)
