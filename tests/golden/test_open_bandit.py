"""Known values of the Open Bandit men's logs (Saito et al., arXiv 2008.07146): the real files, where they are."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from quaestor.log.batch import MaturedBatch
from quaestor.log.ingest import ingest_file
from quaestor.log.maturity import MaturityParams, judge, matured_batch
from quaestor.ope.interval import normal_interval
from quaestor.ope.ips import ips
from quaestor.ope.on_policy import on_policy
from quaestor.ope.snips import snips
from quaestor.ope.target_rounds import target_rounds
from quaestor.ope.weights import overlap
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.gate import GateParams, Stage, gate
from quaestor.settings import Settings
from quaestor.store import rounds


@pytest.fixture
def thompson(settings: Settings, shared_data: Path) -> MaturedBatch:
    """The Thompson-sampling log through the whole path: ingest, store, maturity."""
    ingest_file(settings.store, "open-bandit", shared_data / "obd_men_bts.parquet")
    with settings.store.read() as connection:
        decisions = rounds.decisions(connection, "open-bandit-men")
        outcomes = rounds.outcomes(connection, "open-bandit-men")
    return matured_batch(judge(decisions, outcomes, MaturityParams(24, 0.0), datetime(2020, 1, 1)))


def test_uniform_from_thompson_sampling(thompson: MaturedBatch) -> None:
    uniform = np.full(thompson.logged.eligible.shape, 1 / 34)
    assert ips(target_rounds(thompson, uniform)).value == pytest.approx(0.00300863, abs=5e-9)
    assert snips(target_rounds(thompson, uniform)).value == pytest.approx(0.00318942, abs=5e-9)
    found = overlap(thompson, uniform)
    assert found.effective_size == pytest.approx(655.7, abs=0.05)
    assert found.max_weight == pytest.approx(178.3, abs=0.05)
    assert on_policy(thompson).value == pytest.approx(0.0069)


def test_ten_thousand_rounds_do_not_declare_thompson_sampling_the_winner(thompson: MaturedBatch) -> None:
    """A plain interval excludes 0 here; the gate has to see that it cannot be trusted."""
    uniform = np.full(thompson.logged.eligible.shape, 1 / 34)
    candidate, incumbent = on_policy(thompson), ips(target_rounds(thompson, uniform))
    difference = normal_interval(candidate.minus(incumbent))
    assert difference.excludes_zero
    evaluation = Evaluation(
        "reward", "clicks a round", "IPS", "the Thompson-sampling log", "random", len(thompson),
        normal_interval(candidate), normal_interval(incumbent), difference, {},
        incumbent_overlap=overlap(thompson, uniform),
    )  # fmt: skip
    verdict = gate(evaluation, None, (), GateParams())
    assert verdict.stage is Stage.NOT_ENOUGH
    assert any("655" in reason or "656" in reason for reason in verdict.reasons)
