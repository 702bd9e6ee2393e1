"""What members of the family have in common at their limits, and what each is by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from quaestor.ope.cab import CAB
from quaestor.ope.cross_fitting import cross_fitted
from quaestor.ope.dm import dm
from quaestor.ope.dr import dr
from quaestor.ope.dros import DRos
from quaestor.ope.estimators import ESTIMATORS, why_not_alone
from quaestor.ope.interval import normal_interval
from quaestor.ope.ips import ips
from quaestor.ope.mrdr import MRDR
from quaestor.ope.protocol import Estimator, paired_difference
from quaestor.ope.ridge import Ridge
from quaestor.ope.slope import Slope
from quaestor.ope.sndr import sndr
from quaestor.ope.snips import snips
from quaestor.ope.stratified import Stratified, strata_of_feature
from quaestor.ope.switch_dr import SwitchDR
from quaestor.ope.target_rounds import TargetRounds, target_rounds
from quaestor.ope.weight_histogram import weight_histogram
from quaestor.ope.weights import overlap_of, unsupported_mass
from tests.rounds import bandit, greedy

WORLD = bandit(2000, 0, sharpness=2.0)
ELIGIBLE = WORLD.batch.logged.eligible
UNIFORM = ELIGIBLE / ELIGIBLE.sum(axis=1, keepdims=True)
CRUDE = np.clip(WORLD.truth + 0.2, 0, 1)
ROUNDS = target_rounds(WORLD.batch, UNIFORM, CRUDE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SwitchDR(1e9), dr),
        (SwitchDR(0.0), dm),
        (DRos(float("inf")), dr),
        (DRos(1e14), dr),
        (DRos(0.0), dm),
        (CAB(1e9), ips),
        (CAB(0.0), dm),
    ],
)
def test_tuned_estimators_meet_the_others_at_their_limits(one: Estimator, other: Estimator) -> None:
    assert one(ROUNDS).value == pytest.approx(other(ROUNDS).value, abs=1e-9)
    assert one(ROUNDS).influence == pytest.approx(other(ROUNDS).influence, abs=1e-6)


def test_a_model_that_knows_nothing_changes_nothing() -> None:
    blank = target_rounds(WORLD.batch, UNIFORM, np.zeros_like(CRUDE))
    assert dr(blank).value == pytest.approx(ips(blank).value)
    assert sndr(blank).value == pytest.approx(snips(blank).value)


def test_a_model_that_knows_everything_leaves_no_noise_of_the_log() -> None:
    world = bandit(2000, 1)
    sure = replace(world.batch, reward=(world.truth > 0.5)[np.arange(2000), world.batch.logged.action].astype(float))
    uniform = world.batch.logged.eligible / world.batch.logged.eligible.sum(axis=1, keepdims=True)
    known = target_rounds(sure, uniform, (world.truth > 0.5).astype(float))
    assert dr(known).value == pytest.approx(dm(known).value, abs=1e-12)


def test_four_rounds_by_hand() -> None:
    """Two actions, propensity ½ each; the target takes the first: w = 2, 0, 2, 0; r = 1, 1, 0, 0; q = ¾ and ¼."""
    world = bandit(4, 2, actions=2)
    logged = replace(
        world.batch.logged,
        eligible=np.ones((4, 2), dtype=np.bool_),
        action=np.array([0, 1, 0, 1]),
        propensity=np.full(4, 0.5),
        probabilities=np.full((4, 2), 0.5),
    )
    batch = replace(world.batch, logged=logged, reward=np.array([1.0, 1.0, 0.0, 0.0]))
    rounds = target_rounds(batch, np.tile([1.0, 0.0], (4, 1)), np.tile([0.75, 0.25], (4, 1)))
    assert ips(rounds).value == 0.5
    assert snips(rounds).value == 0.5
    assert dr(rounds).value == pytest.approx(0.75 + (2 * 0.25 + 2 * -0.75) / 4)
    assert sndr(rounds).value == pytest.approx(0.75 + (2 * 0.25 + 2 * -0.75) / 4)
    assert SwitchDR(1.5)(rounds).value == 0.75
    assert DRos(4.0)(rounds).value == pytest.approx(0.75 + (1 * 0.25 + 1 * -0.75) / 4)
    assert CAB(1.0)(rounds).value == pytest.approx(0.5 * 0.75 + (1 * 1 + 1 * 0) / 4)


def test_slope_takes_the_steadiest_constant_that_agrees() -> None:
    """With a model that is right everything agrees and the model alone is taken; with one that is far off, SLOPE
    stops before its bias shows."""
    right = target_rounds(WORLD.batch, UNIFORM, WORLD.truth)
    wrong = target_rounds(WORLD.batch, UNIFORM, np.ones_like(WORLD.truth) * 3)
    assert Slope(SwitchDR).choose(right)[0] == 0.0
    constant, found = Slope(SwitchDR).choose(wrong)
    assert constant > 1.0
    assert found.value == SwitchDR(constant)(wrong).value


def test_mrdr_fits_for_the_variance_of_the_estimate() -> None:
    """A reward model that is given the weights is not the one fitted without, and the estimate stays near DR's."""
    plain = dr(target_rounds(WORLD.batch, UNIFORM, cross_fitted(WORLD.batch, Ridge())))
    found = MRDR()(ROUNDS)
    assert found.value != plain.value
    assert abs(found.value - plain.value) < 3 * float(plain.influence.std()) / np.sqrt(len(ROUNDS))


def test_no_round_teaches_its_own_prediction() -> None:
    seen: list[set[str]] = []

    def recorder(training: Any, weight: Any, rounds: Any) -> np.ndarray:
        assert not set(training.logged.event_ids) & set(rounds.event_ids)
        seen.append(set(rounds.event_ids))
        return np.zeros((len(rounds), len(rounds.actions)))

    cross_fitted(WORLD.batch, recorder, folds=4)
    assert len(seen) == 4
    assert set.union(*seen) == set(WORLD.batch.logged.event_ids)
    with pytest.raises(ValueError, match="2 or more folds"):
        cross_fitted(WORLD.batch, recorder, folds=1)


def test_self_normalisation_within_merchants_by_hand() -> None:
    strata = strata_of_feature(WORLD.batch.logged, "level")
    found = Stratified(snips, strata)(ROUNDS)
    parts = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    by_hand = sum(len(part) * snips(ROUNDS.rows(part)).value for part in parts) / len(ROUNDS)
    assert found.value == pytest.approx(by_hand)
    with pytest.raises(ValueError, match="no category feature 'merchant'"):
        strata_of_feature(WORLD.batch.logged, "merchant")
    with pytest.raises(ValueError, match="one stratum for each"):
        Stratified(snips, strata[:5])(ROUNDS)


def test_different_rounds_are_no_pair() -> None:
    other = target_rounds(bandit(2000, 9).batch, bandit(2000, 9).logging, CRUDE)
    with pytest.raises(ValueError, match="same rounds"):
        paired_difference(dr, ROUNDS, other)


def test_pairing_narrows_the_interval() -> None:
    """Two policies that differ in few rounds: their difference is known far better than either value."""
    nudged = UNIFORM.copy()
    nudged[:40] = greedy(WORLD.truth, ELIGIBLE)[:40]
    new = target_rounds(WORLD.batch, nudged, CRUDE)
    paired = normal_interval(paired_difference(ips, new, ROUNDS))
    alone = normal_interval(ips(new))
    assert paired.upper - paired.lower < (alone.upper - alone.lower) / 3


@pytest.mark.parametrize("bad", [SwitchDR, DRos, CAB])
def test_a_constant_below_zero_is_refused(bad: type) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        bad(-1.0)


def test_cab_needs_all_logged_probabilities() -> None:
    batch = replace(WORLD.batch, logged=replace(WORLD.batch.logged, probabilities=None))
    with pytest.raises(ValueError, match="probabilities of every action"):
        CAB()(target_rounds(batch, UNIFORM, CRUDE))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda target: target[:, :2], "must be"),
        (lambda target: target * 0.9, "sum to 1"),
        (lambda target: np.where(target == target.max(), np.nan, target), "finite"),
        (lambda target: np.full(target.shape, 1 / target.shape[1]), "not eligible"),
        (lambda target: target - 2 * target[:, :1], "0 or more"),
    ],
)
def test_what_is_no_policy_is_refused(change: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        target_rounds(WORLD.batch, change(UNIFORM))


def test_a_prediction_that_is_needed_must_be_there() -> None:
    with pytest.raises(ValueError, match="finite"):
        target_rounds(WORLD.batch, UNIFORM, np.full(UNIFORM.shape, np.nan))
    with pytest.raises(ValueError, match="predicted must be"):
        target_rounds(WORLD.batch, UNIFORM, CRUDE[:, :1])


def test_only_estimators_whose_intervals_cover_decide() -> None:
    refused = {name for name, known in ESTIMATORS.items() if why_not_alone(known.title)}
    assert refused == {"dm", "switch-dr", "switch-dr-slope", "dros", "dros-slope", "cab"}
    assert why_not_alone("simulation") is None
    assert why_not_alone("a hunch") is not None


def test_mass_that_the_log_cannot_speak_for() -> None:
    logged = WORLD.batch.logged
    never = logged.probabilities.copy()  # type: ignore[union-attr]
    never[:, 0] = 0
    assert unsupported_mass(WORLD.batch, UNIFORM) == 0
    blind = replace(WORLD.batch, logged=replace(logged, probabilities=never))
    assert unsupported_mass(blind, UNIFORM) == pytest.approx(UNIFORM[:, 0].mean())
    some = WORLD.batch.rows(logged.action != 0)
    silent = replace(some, logged=replace(some.logged, probabilities=None))
    assert unsupported_mass(silent, UNIFORM[logged.action != 0]) > 0.1


def test_the_histogram_of_weights_adds_up() -> None:
    found = weight_histogram(ROUNDS.weight)
    assert sum(found.of_rounds) == pytest.approx(1)
    assert sum(found.of_weight) == pytest.approx(1)
    assert overlap_of(ROUNDS).max_weight >= found.edges[max(k for k, share in enumerate(found.of_rounds) if share)]


def test_rows_of_rows_are_rows() -> None:
    first: TargetRounds = ROUNDS.rows(np.arange(0, 2000, 2)).rows(np.arange(10))
    assert first.weight == pytest.approx(ROUNDS.weight[:20:2])
    assert first.batch.reward == pytest.approx(WORLD.batch.reward[:20:2])
    assert first.logging == pytest.approx(WORLD.logging[:20:2])
