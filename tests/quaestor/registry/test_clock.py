"""A clock that goes backwards reorders nothing: what came later is told by numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from quaestor.clock import told_by
from quaestor.errors import GateRefusedError
from quaestor.export.from_iteration import export_iteration
from quaestor.registry.judging import EVALUATION, judge_iteration, keep
from quaestor.registry.promotion import live_history, promote, roll_back
from quaestor.settings import Settings
from quaestor.store import audit, evidence, iterations
from tests.evidence import GATE, approved, certify, evaluation, policy, register

NOON = datetime(2026, 5, 1, 12)


@contextmanager
def at(hours: float) -> Iterator[None]:
    """The clock says so many hours after noon."""
    with told_by(lambda: NOON + timedelta(hours=hours)):
        yield


def test_the_newest_verdict_is_the_last_one_given(settings: Settings) -> None:
    with at(0):
        made = approved(settings)
    with at(-5):
        keep(settings.store, made.iteration_id, EVALUATION, evaluation(-0.05).as_json(), "incumbent")
        verdict, new = judge_iteration(settings.store, "bandit", made.iteration_id, "incumbent", GATE, "tester")
        assert (verdict.stage, new) == ("reject", True)
        with pytest.raises(GateRefusedError, match="reject"):
            promote(settings.store, made.iteration_id, "ann", "it was good at noon")


@pytest.mark.slow
def test_evidence_that_is_found_again_is_the_newest_again(settings: Settings) -> None:
    made = approved(settings)
    for difference, stage in ((-0.05, "reject"), (0.02, "promote"), (-0.05, "reject"), (0.02, "promote")):
        keep(settings.store, made.iteration_id, EVALUATION, evaluation(difference).as_json(), "incumbent")
        verdict, new = judge_iteration(settings.store, "bandit", made.iteration_id, "incumbent", GATE, "tester")
        assert (verdict.stage, new) == (stage, True)
        with settings.store.read() as connection:
            assert evidence.verdicts(connection)["stage"].to_list() == [stage]
    _, again = judge_iteration(settings.store, "bandit", made.iteration_id, "incumbent", GATE, "tester")
    assert not again


@pytest.mark.slow
def test_moves_and_serial_numbers_keep_their_order(settings: Settings) -> None:
    names, serials = [], []
    for hours in (0, -3, 9000, -7):
        with at(hours):
            made = register(settings, policy(len(names)), f"policy {len(names)}")
            certify(settings, made.iteration_id)
            keep(settings.store, made.iteration_id, EVALUATION, evaluation().as_json(), "incumbent")
            judge_iteration(settings.store, "bandit", made.iteration_id, "incumbent", GATE, "tester")
            promote(settings.store, made.iteration_id, "ann", "better")
            bundle, _ = export_iteration(settings.store, settings.data, made.iteration_id, settings.bundles, "ann")
            names.append(made.iteration_id)
            serials.append(bundle.serial)
    with at(-100):
        assert roll_back(settings.store, "bandit", "bob", "complaints") == names[2]
    with settings.store.read() as connection:
        trail = audit.trail(connection, "bandit")
        assert iterations.listing(connection, "bandit")["iteration_id"].to_list() == names
        assert audit.live(connection, "bandit") == names[2]
    assert serials == [1, 2, 3, 4]
    assert live_history(trail) == names[:3]
    assert trail["entry"].to_list() == sorted(trail["entry"].to_list())
    assert trail["entered_at"].to_list() != sorted(trail["entered_at"].to_list())
