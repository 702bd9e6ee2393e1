"""Attacks beyond ℓ2: the divergence bound is valid, meets the Gaussian shift, and covers replaced action laws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quaestor.certification.beyond_l2 import divergence_bound, divergence_bounds, l2_covering_l1, l2_covering_linf


@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_a_gaussian_shift_is_met_and_not_exceeded(ratio: float) -> None:
    """KL(N(μ + λs, s²) ‖ N(μ, s²)) = λ²/2, and the bound is μ + λs at best: 105 and 110 as on the ℓ2 page."""
    costs = np.random.default_rng(1).normal(100, 10, 50_000)
    bound = divergence_bound(costs, 200.0, ratio**2 / 2, 0.05)
    assert 100 + 10 * ratio <= bound <= 100 + 10 * ratio + 2.5


@pytest.mark.slow
def test_it_holds_for_replaced_action_probabilities() -> None:
    """An action fails with probability .1 and costs 1; the attacker moves that to q(ρ), the worst within KL ρ."""
    draw, divergence, trials = np.random.default_rng(2), 0.05, 1000
    worst = max(
        q for q in np.linspace(0.1, 0.6, 5001)
        if q * math.log(q / 0.1) + (1 - q) * math.log((1 - q) / 0.9) <= divergence
    )  # fmt: skip
    costs = (draw.random((trials, 300)) < 0.1).astype(float)
    failed = sum(divergence_bound(each, 1.0, divergence, 0.05) < worst for each in costs)
    assert failed <= 71


def test_it_is_between_the_mean_and_the_cap() -> None:
    for costs in (np.zeros(100), np.ones(100), np.linspace(0, 1, 100)):
        for divergence in (0.0, 0.1, 50.0):
            bound = divergence_bound(costs, 1.0, divergence, 0.05)
            assert costs.mean() - 1e-9 <= bound <= 1.0
            assert divergence_bounds(costs, 1.0, np.array([math.sqrt(2 * divergence)]), 0.05) == pytest.approx(bound)


def test_other_norms_are_covered_by_their_l2_size() -> None:
    draw = np.random.default_rng(3)
    for _ in range(100):
        attack = draw.standard_t(2, 30)
        size = float(np.linalg.norm(attack))
        assert size <= l2_covering_l1(float(np.abs(attack).sum())) + 1e-12
        assert size <= l2_covering_linf(float(np.abs(attack).max()), 30) + 1e-12
