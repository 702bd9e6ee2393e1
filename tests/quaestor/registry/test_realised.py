"""Every estimate is kept, and stands beside what came of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from quaestor.cli.app import app
from quaestor.log.batch import MaturedBatch
from quaestor.registry.judging import EVALUATION, keep
from quaestor.registry.realised import estimates_and_outcomes, keep_realised, realised
from quaestor.settings import Settings
from quaestor.store import audit
from tests.evidence import evaluation, interval, policy, register
from tests.rounds import bandit


def served_by(names: list[str | None], reward: float) -> MaturedBatch:
    """Rounds that these iterations decided in turn, with this mean reward each."""
    batch = bandit(1000, 0).batch
    rewards = np.tile([0.0, 1.0], 500) * 2 * reward if reward <= 0.5 else np.tile([2 * reward - 1, 1.0], 500)
    turns = pl.Series([names[(n // 2) % len(names)] for n in range(1000)])
    return replace(batch, reward=rewards, logged=replace(batch.logged, iteration_ids=turns))


def test_estimates_stand_beside_outcomes(settings: Settings) -> None:
    name = register(settings, policy()).iteration_id
    far = evaluation(candidate=interval(0.5, 0.01))
    for estimate in (far, evaluation(candidate=interval(0.81, 0.02))):
        keep(settings.store, name, EVALUATION, estimate.as_json(), "incumbent")
    with settings.store.read() as connection:
        assert estimates_and_outcomes(connection).is_empty()
    batch = served_by([name, "a stranger", None], 0.8)
    assert keep_realised(settings.store, batch) == [name]
    with settings.store.read() as connection:
        found = estimates_and_outcomes(connection, "bandit")
        trail = audit.trail(connection)
    assert found["agrees"].to_list() == [False, True]
    assert found["realised"].to_list() == pytest.approx([0.8, 0.8], abs=0.01)
    assert found["role"].to_list() == ["candidate", "candidate"]
    assert len(trail) == 1
    with settings.store.read() as connection:
        before = connection.execute("select count(*) from evidence").fetchone()
    keep_realised(settings.store, batch)
    with settings.store.read() as connection:
        assert connection.execute("select count(*) from evidence").fetchone() == before
        assert estimates_and_outcomes(connection, "another system").is_empty()
    said = CliRunner().invoke(app, ["estimates"])
    assert "1 of 2 estimates agree" in said.stdout


def test_what_an_iteration_earned_is_its_own_rounds(settings: Settings) -> None:
    found = realised(served_by(["one", "two"], 0.3))
    assert {name: figures.rounds for name, figures in found.items()} == {"one": 500, "two": 500}
    assert found["one"].value == pytest.approx(0.3)
    assert found["one"].first < found["one"].last
