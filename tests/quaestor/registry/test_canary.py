"""The canary gate: wrong as seldom as it says however often one looks, and moves the pointer by itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quaestor.errors import OvertakenError, UsageError
from quaestor.export.replay import target_probabilities
from quaestor.log.ingest import ingest_file
from quaestor.registry.canary import CanaryParams, CanaryRounds, CanaryState, canary_sequence, watch
from quaestor.registry.canary_watch import watch_live
from quaestor.registry.promotion import promote, roll_back
from quaestor.registry.realised import estimates_and_outcomes
from quaestor.registry.served import payments_policy
from quaestor.settings import Settings
from quaestor.store import audit
from tests.evidence import LONG_AFTER, approved
from tests.rounds import bandit

PARAMS = CanaryParams(share=0.2, harm=0.02)


def rounds(gain: float, seed: int, count: int = 2000) -> CanaryRounds:
    """Rounds of two policies over two actions worth ½ + gain and ½: the incumbent tosses a coin, the candidate
    takes the first action nine times in ten, or, for a loss, one in ten."""
    draw = np.random.default_rng(seed)
    by_candidate = draw.random(count) < PARAMS.share
    first = 0.9 if gain >= 0 else 0.1
    action = (draw.random(count) >= np.where(by_candidate, first, 0.5)).astype(int)
    reward = (draw.random(count) < np.where(action == 0, 0.5 + abs(gain) / 0.4, 0.5)).astype(float)
    return CanaryRounds(np.where(action == 0, first, 1 - first), np.full(count, 0.5), reward, by_candidate)


@pytest.mark.slow
def test_a_harmless_canary_is_rarely_rolled_back_at_any_look() -> None:
    """One that loses exactly what is borne is rolled back in at most 2.5 % of cases: more than 14 of 200 with
    probability below 0.001."""
    states = [watch(rounds(-PARAMS.harm, seed), PARAMS).state for seed in range(200)]
    assert states.count(CanaryState.ROLL_BACK) <= 14
    assert states.count(CanaryState.PASSED) <= 14


def test_a_harmful_canary_goes_and_a_good_one_passes() -> None:
    harmful = watch(rounds(-0.19, 0, 6000), PARAMS)
    good = watch(rounds(0.19, 0, 6000), PARAMS)
    assert harmful.state is CanaryState.ROLL_BACK
    assert harmful.settled_after is not None
    assert harmful.settled_after < 6000
    assert "loses more than 0.02" in harmful.reasons[0]
    assert good.state is CanaryState.PASSED


def test_looking_more_often_changes_nothing_but_when_it_is_known() -> None:
    seen = rounds(-0.19, 1, 4000)
    often = watch(seen, CanaryParams(share=0.2, harm=0.02, looks=200))
    seldom = watch(seen, CanaryParams(share=0.2, harm=0.02, looks=3))
    assert often.state is seldom.state is CanaryState.ROLL_BACK
    assert often.settled_after <= seldom.settled_after  # type: ignore[operator]


def test_policies_that_do_alike_differ_in_nothing() -> None:
    draw = np.random.default_rng(2)
    same = np.full(500, 0.5)
    alike = CanaryRounds(same, same, draw.random(500), draw.random(500) < 0.2)
    sequence = canary_sequence(alike, PARAMS)
    assert (sequence.value == 0).all()
    assert sequence.last.lower < 0 < sequence.last.upper


def test_a_split_that_was_not_planned_concludes_nothing() -> None:
    seen = rounds(-0.19, 3, 4000)
    found = watch(seen, CanaryParams(share=0.5, harm=0.02))
    assert found.state is CanaryState.WATCHING
    assert "not split as planned" in found.reasons[0]


def test_all_traffic_on_the_candidate_needs_no_limit_of_weights() -> None:
    draw = np.random.default_rng(4)
    action = (draw.random(20_000) >= 0.02).astype(int)
    reward = (draw.random(20_000) < np.where(action == 0, 0.95, 0.3)).astype(float)
    candidate = np.where(action == 0, 0.02, 0.98)
    seen = CanaryRounds(candidate, np.full(20_000, 0.5), reward, np.ones(20_000, dtype=np.bool_))
    assert watch(seen, CanaryParams(share=1.0, harm=0.02)).state is CanaryState.ROLL_BACK


def test_nothing_yet_is_no_verdict() -> None:
    empty = CanaryRounds(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.bool_))
    assert watch(empty, PARAMS).state is CanaryState.WATCHING
    with pytest.raises(ValueError, match="share"):
        CanaryParams(share=0.0)


@pytest.fixture
def pair(settings: Settings) -> tuple[str, str]:
    """An incumbent and a candidate that is live, with their names."""
    names = []
    for seed in range(2):
        iteration = approved(settings, seed, f"policy {seed}")
        promote(settings.store, iteration.iteration_id, "ann", "better")
        names.append(iteration.iteration_id)
    return names[1], names[0]


def _decide(settings: Settings, folder: Path, names: tuple[str, str], harmful: bool) -> None:
    """4,000 rounds half and half by both policies; harmful: what the candidate alone prefers earns nothing."""
    from quaestor.registry import iteration as registry

    logged = bandit(4000, 7).batch.logged
    policies = [payments_policy(registry.get(settings.store, settings.data, name)) for name in names]
    candidate, incumbent = (target_probabilities(policy, logged) for policy in policies)
    draw = np.random.default_rng(8)
    by_candidate = draw.random(4000) < 0.5
    deciding = np.where(by_candidate[:, None], candidate, incumbent)
    action = (deciding.cumsum(axis=1) <= draw.random(4000)[:, None]).sum(axis=1).clip(max=3)
    at = np.arange(4000)
    worse = candidate[at, action] > incumbent[at, action]
    reward = np.where(worse == harmful, 0.0, 1.0)
    labels = np.array(logged.actions)
    moments = logged.decided_at.dt.replace_time_zone("UTC")
    decisions = logged.context.with_columns(
        system=pl.lit("bandit"),
        event_id=logged.event_ids,
        decided_at=moments,
        iteration_id=pl.Series(np.where(by_candidate, names[0], names[1])),
        eligible=pl.Series([labels[row].tolist() for row in logged.eligible]),
        action=pl.Series(labels[action]),
        propensity=deciding[at, action],
    )
    outcomes = pl.DataFrame(
        {
            "system": "bandit",
            "event_id": logged.event_ids,
            "observed_at": moments + timedelta(minutes=1),
            "reward": reward,
        }
    )
    for kind, rows in (("decisions", decisions), ("outcomes", outcomes)):
        rows.write_parquet(folder / f"{kind}.parquet")
        ingest_file(settings.store, kind, folder / f"{kind}.parquet")


@pytest.mark.parametrize("harmful", [True, False])
def test_a_live_canary_is_rolled_back_by_itself(
    settings: Settings, tmp_path: Path, pair: tuple[str, str], harmful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from quaestor.log.maturity import MaturityParams

    monkeypatch.setattr("quaestor.registry.canary_watch.maturity_of", lambda *_: MaturityParams(24, 0.0))
    _decide(settings, tmp_path, pair, harmful)
    watched = watch_live(settings.store, settings.data, "bandit", CanaryParams(share=0.5, harm=0.02), LONG_AFTER)
    with settings.store.read() as connection:
        live, last = audit.live(connection, "bandit"), audit.trail(connection, "bandit").row(-1, named=True)
        compared = estimates_and_outcomes(connection, "bandit")
    assert watched.verdict.state is (CanaryState.ROLL_BACK if harmful else CanaryState.PASSED)
    assert live == watched.live_id == (pair[1] if harmful else pair[0])
    assert (last["actor"], last["action"]) == (("canary gate", "rollback") if harmful else ("ann", "promote"))
    assert set(compared["iteration_id"]) == set(pair)
    if harmful:
        assert "loses more than 0.02" in last["reason"]


def test_no_move_of_somebody_else_is_undone(settings: Settings, pair: tuple[str, str]) -> None:
    """A canary that was replaced between the look and the move is not what would be rolled back."""
    third = approved(settings, 2, "policy 2").iteration_id
    promote(settings.store, third, "bob", "urgent")
    with pytest.raises(OvertakenError, match="not live any more: bob promoted"):
        roll_back(settings.store, "bandit", "canary gate", "too slow", pair[0])
    with settings.store.read() as connection:
        assert audit.live(connection, "bandit") == third


def test_a_system_without_a_past_has_no_canary(settings: Settings) -> None:
    iteration = approved(settings)
    promote(settings.store, iteration.iteration_id, "ann", "the first")
    with pytest.raises(UsageError, match="no canary to watch"):
        watch_live(settings.store, settings.data, "bandit", PARAMS, datetime(2100, 1, 1))
