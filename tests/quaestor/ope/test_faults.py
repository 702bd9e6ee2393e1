"""Faults that logs are known for: each is named by a check, and the gate lets nothing through on such a log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from quaestor.errors import UsageError
from quaestor.log.batch import LoggedBatch, MaturedBatch
from quaestor.ope.diagnosis import Diagnosis
from quaestor.ope.diagnostics import diagnose
from quaestor.ope.estimated_propensities import with_estimated_propensities
from quaestor.ope.log_checks import clock_check
from quaestor.ope.propensity_checks import action_calibration, rederivation_check
from quaestor.ope.sample_ratio import sample_ratio_check
from quaestor.registry.gate import GateParams, Stage, gate
from quaestor.registry.off_policy import evaluate_off_policy
from tests.rounds import bandit, greedy

WORLD = bandit(20_000, 5)
LENIENT = GateParams(effective_size=1, rarer_outcomes=1, largest_share=1.0, unsupported_mass=1.0)


def relogged(batch: MaturedBatch, **changes: object) -> MaturedBatch:
    """The batch with another log."""
    return replace(batch, logged=replace(batch.logged, **changes))  # type: ignore[arg-type]


def rounded(batch: MaturedBatch, decimals: int) -> MaturedBatch:
    """Propensities as a logger with few decimals writes them, of many different ones."""
    return relogged(batch, propensity=np.maximum(batch.logged.propensity.round(decimals), 10.0**-decimals))


def spread(batch: MaturedBatch) -> MaturedBatch:
    """The same rounds drawn with propensities of their own, all different."""
    draw = np.random.default_rng(1)
    eligible = batch.logged.eligible
    score = np.where(eligible, draw.gamma(0.7, size=eligible.shape) + 0.02, 0)
    logging = score / score.sum(axis=1, keepdims=True)
    action = (logging.cumsum(axis=1) < draw.random(len(batch))[:, None]).sum(axis=1).clip(max=eligible.shape[1] - 1)
    at = np.arange(len(batch))
    reward = (draw.random(len(batch)) < WORLD.truth[at, action]).astype(float)
    made = relogged(batch, action=action, propensity=logging[at, action], probabilities=logging)
    return replace(made, reward=reward)


def only_taken(batch: MaturedBatch) -> MaturedBatch:
    """A log that holds the propensity of the action taken alone."""
    return relogged(batch, probabilities=None)


def greedy_only(batch: MaturedBatch) -> MaturedBatch:
    """A log of a policy without exploration."""
    certain = np.eye(batch.logged.eligible.shape[1])[batch.logged.action]
    return relogged(batch, propensity=np.ones(len(batch)), probabilities=certain)


def shard_twice(batch: MaturedBatch) -> MaturedBatch:
    """A tenth of the log loaded again under other event ids."""
    twice = batch.rows(np.concatenate([np.arange(len(batch)), np.arange(len(batch) // 10)]))
    return relogged(twice, event_ids=pl.Series([f"again-{n}" for n in range(len(twice))]))


def late_as_default(batch: MaturedBatch) -> MaturedBatch:
    """The newest rounds lack half of their outcomes."""
    late = (np.arange(len(batch)) > 0.92 * len(batch)) & (np.arange(len(batch)) % 2 == 0)
    return replace(batch, reward=np.where(late, 0.0, batch.reward), defaulted=late)


def late_as_zero(batch: MaturedBatch) -> MaturedBatch:
    """The same, recorded as outcomes of 0."""
    late = np.arange(len(batch)) > 0.92 * len(batch)
    return replace(batch, reward=np.where(late, 0.0, batch.reward))


def estimated(batch: MaturedBatch) -> MaturedBatch:
    """Propensities that somebody estimated afterwards."""
    return relogged(batch, estimated=True)


def other_version(batch: MaturedBatch) -> MaturedBatch:
    """Propensities of a version that did not serve: the order of actions has changed."""
    mixed = np.where(batch.logged.eligible, batch.logged.probabilities[:, ::-1] + 0.05, 0)  # type: ignore[index]
    logging = mixed / mixed.sum(axis=1, keepdims=True)
    propensity = logging[np.arange(len(batch)), batch.logged.action]
    return relogged(batch, propensity=propensity, probabilities=logging)


FAULTS: dict[str, tuple[Callable[[MaturedBatch], MaturedBatch], str]] = {
    "rounded to two decimals": (lambda batch: rounded(only_taken(spread(batch)), 2), "rounded propensities"),
    "rounded to three decimals": (lambda batch: rounded(only_taken(spread(batch)), 3), "rounded propensities"),
    "logged version is not the serving one": (other_version, "propensity calibration"),
    "the same, taken propensity only": (lambda batch: only_taken(other_version(batch)), "propensity calibration"),
    "greedy only": (greedy_only, "exploration"),
    "duplicated shard": (shard_twice, "duplicates"),
    "late rewards as the default": (late_as_default, "late rewards"),
    "late rewards as 0": (late_as_zero, "late rewards"),
    "estimated propensities": (estimated, "estimated propensities"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_and_nothing_is_promoted(fault: str) -> None:
    injure, name = FAULTS[fault]
    batch = injure(WORLD.batch)
    found = {check.name: check for check in diagnose(batch)}
    assert found[name].status == "stop"
    candidate = greedy(_truth(batch), batch.logged.eligible)
    incumbent = batch.logged.eligible / batch.logged.eligible.sum(axis=1, keepdims=True)
    evaluation = evaluate_off_policy(batch, candidate, incumbent, _truth(batch), "incumbent")
    verdict = gate(evaluation, None, (), LENIENT)
    assert verdict.stage is Stage.NOT_ENOUGH
    assert found[name].sentence in verdict.reasons
    assert verdict.rounds_needed is None


@pytest.mark.parametrize("sound", [lambda batch: batch, spread, only_taken])
def test_a_sound_log_passes_every_check(sound: Callable[[MaturedBatch], MaturedBatch]) -> None:
    assert {check.status for check in diagnose(sound(WORLD.batch))} == {"ok"}


@pytest.mark.slow
def test_sound_logs_are_rarely_stopped() -> None:
    """Over 200 logs at most 3 are stopped: four standard errors, four actions and ten bins."""
    stopped = 0
    for seed in range(200):
        batch = bandit(1000, seed).batch
        stopped += any(check.status == "stop" for check in diagnose(only_taken(batch) if seed % 2 else batch))
    assert stopped <= 3


def test_calibration_by_hand() -> None:
    """Ten thousand rounds at ½ of which 5,300 took the first action: 300 from 5,000, in errors of √(n/4) = 50."""
    world = bandit(10_000, 1, actions=2)
    action = np.repeat([0, 1], [5300, 4700])
    half = np.full((10_000, 2), 0.5)
    logged = replace(world.batch.logged, eligible=half > 0, action=action, propensity=half[:, 0], probabilities=half)
    assert action_calibration(logged).errors_away == pytest.approx([6, -6])


def test_another_version_is_named_when_propensities_are_derived_again() -> None:
    logged = WORLD.batch.logged
    mine = np.arange(len(logged)) % 2 == 0
    right = rederivation_check(logged, mine, WORLD.logging[mine], "iteration")
    wrong = rederivation_check(logged, mine, WORLD.logging[mine][:, ::-1], "iteration")
    assert (right.status, wrong.status) == ("ok", "stop")
    assert "another version served them" in wrong.sentence


def _clocks(skew: timedelta, ahead: timedelta) -> Diagnosis:
    now = datetime(2026, 3, 1)
    decisions = pl.DataFrame(
        {
            "event_id": [f"e{n}" for n in range(100)],
            "decided_at": [now - timedelta(hours=100 - n) + ahead for n in range(100)],
        }
    )
    outcomes = decisions.select("event_id", observed_at=pl.col("decided_at") + timedelta(minutes=5) - skew)
    return clock_check(decisions, outcomes, now)


def test_clock_skew_is_named() -> None:
    assert _clocks(timedelta(0), timedelta(0)).status == "ok"
    assert "observed before their decision" in _clocks(timedelta(hours=1), timedelta(0)).sentence
    assert _clocks(timedelta(hours=1), timedelta(0)).status == "stop"
    assert "dated after now" in _clocks(timedelta(0), timedelta(hours=30)).sentence


@pytest.mark.parametrize(
    ("counts", "status"),
    [((1000, 9000), "ok"), ((1090, 8910), "watch"), ((1300, 8700), "stop"), ((0, 0), "watch")],
)
def test_a_split_that_was_not_planned_is_named(counts: tuple[int, int], status: str) -> None:
    sides = dict(zip(("candidate", "incumbent"), counts, strict=True))
    assert sample_ratio_check(sides, {"candidate": 0.1, "incumbent": 0.9}).status == status


def test_shares_must_be_shares() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        sample_ratio_check({"a": 1, "b": 1}, {"a": 0.5, "b": 0.4})


def _without_propensities(logged: LoggedBatch) -> pl.DataFrame:
    names = np.array(logged.actions)
    return logged.context.with_columns(
        event_id=logged.event_ids,
        eligible=pl.Series([names[row].tolist() for row in logged.eligible]),
        action=pl.Series(names[logged.action]),
        iteration_id=pl.lit("somebody's rule"),
    )


def test_propensities_can_be_estimated_and_say_so() -> None:
    """The bandit's logger draws by eligibility alone, which the model can learn to within a percent or two."""
    logged = bandit(4000, 3).batch.logged
    found = with_estimated_propensities(_without_propensities(logged))
    assert found["iteration_id"].unique().to_list() == ["estimated propensities: somebody's rule"]
    assert np.abs(found["propensity"].to_numpy() - logged.propensity).mean() < 0.03
    assert found["propensities"].list.sum().to_numpy() == pytest.approx(np.ones(4000))
    with pytest.raises(UsageError, match="have propensities"):
        with_estimated_propensities(found)
    with pytest.raises(UsageError, match="not eligible"):
        with_estimated_propensities(_without_propensities(logged).with_columns(action=pl.lit("a9")))


def _truth(batch: MaturedBatch) -> np.ndarray:
    """Any finite predictions: what is judged here is the log."""
    return np.tile([0.2, 0.4, 0.6, 0.8], (len(batch), 1))
