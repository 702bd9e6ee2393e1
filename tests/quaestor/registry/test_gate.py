"""The gate: what it lets through, what it refuses, and what it calls too little to judge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from quaestor.ope.dr import dr
from quaestor.ope.interval import normal_interval
from quaestor.ope.target_rounds import target_rounds
from quaestor.ope.weights import overlap
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.gate import GateParams, Stage, gate
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
