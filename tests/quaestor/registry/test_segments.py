"""Segments agree with the whole: one number, one function."""

from __future__ import annotations

import json

import numpy as np
import pytest

from quaestor.registry.off_policy import evaluate_off_policy
from quaestor.registry.segments import Segments, by_segment
from quaestor.study import parse
from tests.rounds import bandit, greedy


def test_all_rounds_as_one_segment_are_the_evaluation() -> None:
    rounds = bandit(2000, 1)
    new, old = greedy(rounds.truth, rounds.batch.logged.eligible), rounds.logging
    found = by_segment(rounds.batch, new, old, rounds.truth)
    whole = evaluate_off_policy(rounds.batch, new, old, rounds.truth, "incumbent")
    assert found.everything.candidate == whole.candidate
    assert found.everything.incumbent == whole.incumbent
    assert found.everything.gain == whole.difference


@pytest.mark.parametrize("seed", range(3))
def test_segments_part_the_rounds_and_their_means_are_the_whole(seed: int) -> None:
    rounds = bandit(1500, seed)
    new, old = greedy(rounds.truth, rounds.batch.logged.eligible), rounds.logging
    found = by_segment(rounds.batch, new, old, rounds.truth)
    sizes = np.array([each.rounds for each in found.segments])
    assert sizes.sum() == 1500
    for part in ("observed", "candidate", "incumbent", "gain", "changed"):
        means = np.array([getattr(each, part).value for each in found.segments])
        assert means @ sizes / 1500 == pytest.approx(getattr(found.everything, part).value)


def test_moves_add_up_to_what_changed_and_equal_policies_change_nothing() -> None:
    rounds = bandit(1000, 4)
    new, old = greedy(rounds.truth, rounds.batch.logged.eligible), rounds.logging
    found = by_segment(rounds.batch, new, old, rounds.truth)
    assert sum(move.share for move in found.moves) == pytest.approx(found.everything.changed.value)
    assert all(move.before != move.after for move in found.moves)
    mix = {name: float(old[:, k].mean()) for k, name in enumerate(rounds.batch.logged.actions)}
    for move in found.moves:
        mix[move.before] -= move.share
        mix[move.after] += move.share
    assert list(mix.values()) == pytest.approx(new.mean(axis=0).tolist()), "moves lead from one mix to the other"
    same = by_segment(rounds.batch, old, old, rounds.truth)
    assert same.everything.changed.value == same.everything.gain.value == 0
    assert same.moves == ()


def test_rare_levels_are_left_out_and_segments_are_kept_as_they_are() -> None:
    rounds = bandit(200, 5)
    rare = np.flatnonzero(rounds.batch.logged.context["category_level"].to_numpy() == "L1")[20:]
    kept = np.setdiff1d(np.arange(200), rare)
    batch, logging, truth = rounds.batch.rows(kept), rounds.logging[kept], rounds.truth[kept]
    found = by_segment(batch, logging, logging, truth)
    assert {each.level for each in found.segments} == {"L0", "L2"}
    assert parse(Segments, json.loads(json.dumps(found.as_json())), "segments") == found
