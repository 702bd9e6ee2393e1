"""Test oracles of the certification reference page: population values, finite samples, one threshold, tight cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import ndtr

from quaestor.certification.clopper_pearson import clopper_pearson, upper_probability
from quaestor.certification.distortion import distort
from quaestor.certification.dkw import dkw
from quaestor.certification.plug_in import plug_in

LAWS = (stats.norm(100, 10), stats.lognorm(0.25, scale=np.exp(4)), stats.uniform(0, 100), stats.expon())
POPULATION = {
    0.5: (21.7239080427, 105.0, 63.8317043305, 63.8163195084, 1.53006738),
    1.0: (38.9143691645, 110.0, 72.3307970187, 76.0249938907, 2.23175104),
}


@pytest.mark.parametrize("ratio", POPULATION)
def test_population_values(ratio: float) -> None:
    """100·Bernoulli(.1), N(100,10), LogN(4,.25), U[0,100] and Exp(1), to the digits the page gives."""
    bernoulli, *others = POPULATION[ratio]
    assert 100 * float(distort(np.array(0.1), ratio)) == pytest.approx(bernoulli, abs=1e-9)
    for law, expected in zip(LAWS, others, strict=True):
        attacked = integrate.quad(
            lambda t, law=law: float(distort(np.array(law.sf(t)), ratio)),
            0,
            3 * law.isf(1e-15),
            limit=500,
            epsabs=1e-11,
        )[0]
        assert attacked == pytest.approx(expected, abs=6e-9)


def test_plug_in_tends_to_the_population_value() -> None:
    quantiles = stats.uniform(0, 100).ppf((np.arange(200_000) + 0.5) / 200_000)
    assert plug_in(quantiles, 100.0, np.array([0.5])) == pytest.approx(63.8163195084, abs=1e-4)


@pytest.mark.parametrize(
    ("noise", "budget", "alpha", "one_sided", "two_sided", "thresholds"),
    [
        (2.0, 1.0, 0.05, 67.4675459484, 67.8464866503, 68.1687324692),
        (1.0, 1.0, 0.01, 80.0803519027, 80.3386962884, 80.1547933148),
    ],
)
def test_finite_samples(
    noise: float, budget: float, alpha: float, one_sided: float, two_sided: float, thresholds: float
) -> None:
    costs = 100 * (np.arange(1000) + 0.5) / 1000
    ratio = np.array([budget / noise])
    assert dkw(costs, 100.0, ratio, alpha) == pytest.approx(one_sided, abs=5e-11)
    assert dkw(costs, 100.0, ratio, alpha / 2) == pytest.approx(two_sided, abs=5e-11)
    assert clopper_pearson(costs, 100.0, ratio, alpha) == pytest.approx(thresholds, abs=5e-11)


def test_one_threshold() -> None:
    bound = upper_probability(np.array([50]), 1000, 0.05)
    assert bound[0] == pytest.approx(0.062863403512, abs=5e-13)
    assert distort(bound, 1.0)[0] == pytest.approx(0.297649682194, abs=5e-13)


def test_a_single_step_attack_attains_the_bound() -> None:
    """Act if x + Z ≥ h with (x, h, σ, B) = (0, 1, 1, .5): attack and bound are both .3085375387."""
    bound = float(distort(np.array(ndtr(-1.0)), 0.5))
    attack = float(ndtr(-(1.0 - 0.5)))
    assert bound == pytest.approx(0.3085375387, abs=5e-11)
    assert attack == pytest.approx(bound, abs=1e-12)


def test_a_linear_cost_is_shifted_by_exactly_lambda_standard_deviations() -> None:
    """Cost 100 + 10·w·Z: the shift δ = B·w has mean 100 + λ·10, which is the bound on N(100, 10)."""
    direction = np.full(100, 0.1)
    attacked = 100 + 10 * float(direction @ (0.5 * direction))
    assert attacked == pytest.approx(POPULATION[0.5][1], abs=1e-9)
