"""The gate: what it lets through, what it refuses, and what it calls too little to judge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quaestor.errors import UsageError
from quaestor.ope.diagnosis import Diagnosis
from quaestor.ope.dr import dr
from quaestor.ope.interval import normal_interval
from quaestor.ope.target_rounds import target_rounds
from quaestor.ope.weights import overlap
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.gate import GateParams, Stage, gate, read_gate
from quaestor.settings import Settings
from tests.evidence import GOOD_OVERLAP, certify, evaluation, interval, policy, register
from tests.rounds import bandit

PLAIN = GateParams()


def test_a_clear_gain_is_promoted_with_its_figures() -> None:
    verdict = gate(evaluation(0.02, 0.005), None, (), PLAIN)
    assert verdict.stage is Stage.PROMOTE
    assert "0.02" in verdict.reasons[0]
    assert "doubly robust" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("difference", "reach", "margin", "stage"),
    [
        (0.02, 0.03, 0.0, Stage.NOT_ENOUGH),
        (-0.02, 0.005, 0.0, Stage.REJECT),
        (0.02, 0.005, 0.05, Stage.REJECT),
        (0.02, 0.005, 0.017, Stage.NOT_ENOUGH),
        (0.0, 0.0, 0.0, Stage.NOT_ENOUGH),
    ],
)
def test_the_interval_decides_against_the_margin(difference: float, reach: float, margin: float, stage: Stage) -> None:
    assert gate(evaluation(difference, reach), None, (), GateParams(margin=margin)).stage is stage


def test_a_lower_cost_is_a_gain() -> None:
    cost = evaluation(-5.0, 1.0, quantity="cost", overlap=None, incumbent_overlap=None)
    assert gate(cost, None, (), PLAIN).stage is Stage.PROMOTE
    assert gate(replace(cost, difference=interval(5.0, 1.0)), None, (), PLAIN).stage is Stage.REJECT


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pairs": 10}, "Only 10 pairs"),
        ({"overlap": replace(GOOD_OVERLAP, effective_size=655.7)}, "656 rounds of the candidate"),
        ({"incumbent_overlap": replace(GOOD_OVERLAP, effective_size=20.0)}, "20 rounds of the incumbent"),
        ({"overlap": replace(GOOD_OVERLAP, max_share=0.2)}, "20.0% of the candidate's weight"),
        ({"overlap": replace(GOOD_OVERLAP, rarer_outcomes=69)}, "69 rounds hold the rarer outcome"),
        ({"overlap": replace(GOOD_OVERLAP, mean_weight=1.1)}, "mean weight is 1.100"),
        ({"overlap": replace(GOOD_OVERLAP, unsupported_mass=0.03)}, "could not have taken 3.0%"),
        ({"estimator": "SWITCH-DR"}, "SWITCH-DR cannot decide alone: its interval hides the bias"),
        ({"estimator": "DRos"}, "DRos cannot decide alone"),
        ({"estimator": "a hunch"}, "a hunch cannot decide alone"),
        ({"diagnostics": (Diagnosis("clocks", "stop", "Clocks disagree."),)}, "Clocks disagree."),
    ],
)
def test_too_little_evidence_is_a_verdict_of_its_own(change: dict[str, Any], said: str) -> None:
    """However large the gain, and however bad: what cannot be trusted is no ranking."""
    for difference in (0.5, -0.5):
        verdict = gate(evaluation(difference, 0.001, **change), None, (), PLAIN)
        assert verdict.stage is Stage.NOT_ENOUGH
        assert any(said in reason for reason in verdict.reasons)


def test_a_certificate_is_asked_for_and_read(settings: Settings) -> None:
    certificate = certify(settings, register(settings, policy()).iteration_id)
    lenient, strict = GateParams(certified_budget=0.1), GateParams(certified_budget=0.1, certified_loss=1e-6)
    assert gate(evaluation(), None, (), lenient).stage is Stage.NOT_ENOUGH
    assert gate(evaluation(), certificate, (), lenient).stage is Stage.PROMOTE
    assert gate(evaluation(), certificate, (), strict).stage is Stage.REJECT
    unknown = gate(evaluation(), certificate, (), GateParams(certified_budget=0.3))
    assert unknown.stage is Stage.NOT_ENOUGH
    assert "no bound for budget 0.3" in unknown.reasons[0]


def test_an_alarm_stops_a_better_candidate() -> None:
    verdict = gate(evaluation(), None, ("The action mix has collapsed.",), PLAIN)
    assert verdict == gate(evaluation(), None, ("The action mix has collapsed.",), PLAIN)
    assert verdict.stage is Stage.REJECT
    assert verdict.reasons == ("The action mix has collapsed.",)


def test_equal_policies_are_rarely_promoted() -> None:
    """A/A: candidate and incumbent are two draws of one noisy policy. A two-sided 95 % interval lies above 0 in
    2.5 % of 1,000 trials; more than 41 happen with probability below 0.002."""
    promoted = 0
    params = GateParams(effective_size=100, rarer_outcomes=20)
    for seed in range(1000):
        world = bandit(400, seed)
        logged = world.batch.logged
        draw = np.random.default_rng(seed)
        policies = []
        for _ in range(2):
            weight = np.where(logged.eligible, draw.uniform(0.5, 1.5, logged.eligible.shape), 0)
            policies.append(weight / weight.sum(axis=1, keepdims=True))
        one, two = (dr(target_rounds(world.batch, p, world.truth)) for p in policies)
        found = Evaluation(
            "reward", "reward a round", "doubly robust", "a log", "two", 400,
            normal_interval(one), normal_interval(two), normal_interval(one.minus(two)), {},
            overlap(world.batch, policies[0]), overlap(world.batch, policies[1]),
        )  # fmt: skip
        promoted += gate(found, None, (), params).stage is Stage.PROMOTE
    assert promoted <= 41


def test_a_narrower_confidence_than_asked_for_is_not_enough() -> None:
    verdict = gate(evaluation(0.02, 0.005), None, (), GateParams(confidence=0.99))
    assert verdict.stage is Stage.NOT_ENOUGH
    assert "99.0% is asked for" in verdict.reasons[0]


def test_a_check_that_says_watch_lets_through() -> None:
    watched = evaluation(diagnostics=(Diagnosis("late rewards", "watch", "The world may have changed."),))
    assert gate(watched, None, (), PLAIN).stage is Stage.PROMOTE


def test_rounds_needed_by_hand() -> None:
    """A gain of 0.02 ± 0.03: (1.96 + 0.84)·0.03/1.96 / 0.02 = 2.144 times the reach, 2.144² = 4.597 the rounds."""
    verdict = gate(evaluation(0.02, 0.03), None, (), PLAIN)
    assert verdict.rounds_needed == pytest.approx(20_000 * 4.597, rel=1e-3)
    assert "About 71,9" in verdict.reasons[-1]
    little = gate(evaluation(overlap=replace(GOOD_OVERLAP, effective_size=250.0)), None, (), PLAIN)
    assert little.rounds_needed == 80_000


@pytest.mark.parametrize("hopeless", [{"difference": -0.02, "reach": 0.03}, {"difference": 0.0, "reach": 0.03}])
def test_no_number_of_rounds_makes_a_candidate_better(hopeless: dict[str, float]) -> None:
    assert gate(evaluation(**hopeless), None, (), PLAIN).rounds_needed is None


def test_the_rounds_needed_settle_it_as_often_as_they_say() -> None:
    """Played again with as many rounds, the interval lies above 0 in 80 % of cases: 300 trials give 220 to 260
    with probability 0.997."""
    draw = np.random.default_rng(0)
    first = evaluation(0.02, 0.03)
    needed = gate(first, None, (), PLAIN).rounds_needed
    assert needed is not None
    reach = 0.03 * np.sqrt(20_000 / needed)
    found = draw.normal(0.02, reach / 1.959964, 300)
    assert 220 <= sum(gate(evaluation(value, reach), None, (), PLAIN).stage is Stage.PROMOTE for value in found) <= 260


def test_a_gate_is_a_table_of_toml(tmp_path: Path) -> None:
    path = tmp_path / "gate.toml"
    path.write_text("[gate]\nmargin = 0.01\neffective_size = 400\ncertified_budget = 0.1\n")
    assert read_gate(path) == GateParams(margin=0.01, effective_size=400.0, certified_budget=0.1)
    path.write_text("[gate]\nefective_size = 400\n")
    with pytest.raises(UsageError, match="Did you mean 'effective_size'"):
        read_gate(path)
    path.write_text("[gate]\nunsupported_mass = 2\n")
    with pytest.raises(UsageError, match="unsupported_mass"):
        read_gate(path)
