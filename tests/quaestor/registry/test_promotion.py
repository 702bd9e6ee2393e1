"""Iterations are immutable, moves are audited, and one iteration is live at every instant."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import polars as pl
import pytest

from quaestor.errors import GateRefusedError, OvertakenError, QuaestorError, UsageError
from quaestor.registry import iteration as registry
from quaestor.registry.promotion import last_move, promote, reject, roll_back
from quaestor.registry.report import reports
from quaestor.settings import Settings
from quaestor.store import audit
from tests.evidence import approved, policy, register


def _live(settings: Settings) -> str | None:
    with settings.store.read() as connection:
        return audit.live(connection, "bandit")


def _stages(settings: Settings) -> dict[str, str]:
    with settings.store.read() as connection:
        return {report.iteration_id: report.stage for report in reports(connection)}


def test_registering_again_changes_nothing(settings: Settings) -> None:
    made = policy()
    first, again = register(settings, made), register(settings, made)
    assert first == again
    with settings.store.read() as connection:
        assert len(audit.trail(connection)) == 1


def test_a_changed_file_is_noticed(settings: Settings) -> None:
    iteration = register(settings, policy())
    (iteration.folder / "policy.onnx").write_bytes(b"changed")
    with pytest.raises(QuaestorError, match="changed since"):
        registry.get(settings.store, settings.data, iteration.iteration_id[:10]).read("policy.onnx")


def test_other_content_is_another_iteration(settings: Settings) -> None:
    assert register(settings, policy(0)).iteration_id != register(settings, policy(1)).iteration_id


def test_only_what_the_gate_lets_through_is_promoted(settings: Settings) -> None:
    candidate = register(settings, policy())
    with pytest.raises(GateRefusedError, match="no verdict"):
        promote(settings.store, candidate.iteration_id, "ann", "looks good")
    assert _live(settings) is None
    promote(settings.store, candidate.iteration_id, "ann", "an emergency", override=True)
    assert _live(settings) == candidate.iteration_id
    with settings.store.read() as connection:
        entry = audit.trail(connection).row(-1, named=True)
    assert (entry["actor"], entry["action"]) == ("ann", "promote")
    assert "override" in entry["reason"]
    assert "an emergency" in entry["reason"]


def test_promote_roll_back_and_roll_back_again(settings: Settings) -> None:
    one, two, three = (approved(settings, seed, f"policy {seed}").iteration_id for seed in range(3))
    for name in (one, two, three):
        promote(settings.store, name, "ann", "better")
    assert roll_back(settings.store, "bandit", "bob", "complaints") == two
    assert roll_back(settings.store, "bandit", "bob", "more complaints") == one
    assert _live(settings) == one
    with pytest.raises(UsageError, match="no earlier live iteration"):
        roll_back(settings.store, "bandit", "bob", "still")
    assert _stages(settings)[three] == "retired"
    with settings.store.read() as connection:
        moves = audit.trail(connection)["action"].to_list()
    assert moves.count("promote") == 3
    assert moves.count("rollback") == 2


def test_promoting_twice_is_one_move(settings: Settings) -> None:
    iteration = approved(settings)
    for _ in range(2):
        promote(settings.store, iteration.iteration_id, "ann", "better")
    with settings.store.read() as connection:
        assert audit.trail(connection)["action"].to_list().count("promote") == 1


def test_a_rejected_iteration_stays_out(settings: Settings) -> None:
    iteration = approved(settings)
    reject(settings.store, iteration.iteration_id, "ann", "legal says no")
    with pytest.raises(GateRefusedError, match="legal says no"):
        promote(settings.store, iteration.iteration_id, "bob", "but it is better")
    assert _stages(settings)[iteration.iteration_id] == "rejected"


def test_the_live_iteration_cannot_be_rejected(settings: Settings) -> None:
    iteration = approved(settings)
    promote(settings.store, iteration.iteration_id, "ann", "better")
    with pytest.raises(UsageError, match="roll back first"):
        reject(settings.store, iteration.iteration_id, "ann", "worse")


def _all_at_once(*moves: Callable[[], object]) -> list[OvertakenError]:
    """Makes the moves in threads that have all seen the same past; returns what those that came too late were told."""
    told: list[OvertakenError] = []

    def make(move: Callable[[], object]) -> None:
        try:
            move()
        except OvertakenError as error:
            told.append(error)

    threads = [threading.Thread(target=make, args=(move,)) for move in moves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


@pytest.mark.parametrize("before", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_of_promoters_at_once_one_wins_and_the_others_are_told_who_and_when(settings: Settings, before: int) -> None:
    names = [approved(settings, seed, f"policy {seed}").iteration_id for seed in range(3 + before)]
    for name in names[3:]:
        promote(settings.store, name, "zoe", "the first")
    with settings.store.read() as connection:
        seen = last_move(connection, "bandit")
    told = _all_at_once(
        *(
            partial(promote, settings.store, name, f"promoter {n}", "mine", seen=seen)
            for n, name in enumerate(names[:3])
        )
    )
    with settings.store.read() as connection:
        moves = audit.trail(connection).filter(pl.col("action") == "promote")
    winner = moves.row(-1, named=True)
    assert len(moves) == 1 + before
    assert _live(settings) == winner["iteration_id"]
    assert len(told) == 2
    for error in told:
        assert f"{winner['actor']} promoted {winner['iteration_id'][:12]} at {winner['entered_at']:%Y-%m-%d}" in str(
            error
        )
        assert error.exit_code == 4


@pytest.mark.slow
def test_of_a_promotion_and_a_roll_back_at_once_one_wins(settings: Settings) -> None:
    one, two, three = (approved(settings, seed, f"policy {seed}").iteration_id for seed in range(3))
    for name in (one, two):
        promote(settings.store, name, "ann", "better")
    with settings.store.read() as connection:
        seen = last_move(connection, "bandit")
    told = _all_at_once(
        partial(promote, settings.store, three, "bob", "better yet", seen=seen),
        partial(roll_back, settings.store, "bandit", "cat", "complaints", seen=seen),
        partial(roll_back, settings.store, "bandit", "dan", "complaints", seen=seen),
    )
    assert len(told) == 2
    assert _live(settings) in (one, three)


def test_two_who_promote_the_same_agree(settings: Settings) -> None:
    name = approved(settings).iteration_id
    assert _all_at_once(*(partial(promote, settings.store, name, who, "yes", seen=0) for who in ("ann", "bob"))) == []
    with settings.store.read() as connection:
        assert audit.trail(connection)["action"].to_list().count("promote") == 1


def test_a_name_must_mean_one_iteration(settings: Settings) -> None:
    register(settings, policy(0))
    for name in ("", "zzz"):
        with pytest.raises(UsageError, match=r"no iteration|more than one"):
            registry.get(settings.store, settings.data, name)
