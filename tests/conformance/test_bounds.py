"""Every bound: valid over many seeds, never below the mean it came from, and monotone in everything it should be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from quaestor.certification.bounds import BOUNDS, Bound
from quaestor.certification.distortion import distort
from quaestor.certification.plug_in import plug_in

SEEDS = 1000
ALPHA = 0.05


@pytest.fixture(params=BOUNDS.values(), ids=BOUNDS.keys())
def bound(request: pytest.FixtureRequest) -> Bound:
    return request.param


@pytest.mark.parametrize("ratio", [0.5, 1.0])
@pytest.mark.parametrize("law", ["beta", "two points", "near the cap"])
def test_it_fails_no_more_often_than_it_says(bound: Bound, law: str, ratio: float) -> None:
    """At level 5 %, a valid bound fails more than 71 times in 1,000 with probability below 0.002."""
    draw = np.random.default_rng(7)
    laws = {"beta": stats.beta(2, 5), "near the cap": stats.beta(40, 1)}
    grid = np.linspace(0, 1, 20_001)
    if law == "two points":
        samples = (draw.random((SEEDS, 200)) < 0.02).astype(float)
        truth = float(distort(np.array(0.02), ratio))
    else:
        samples = laws[law].rvs((SEEDS, 200), random_state=draw)
        truth = float(np.trapezoid(distort(laws[law].sf(grid), ratio), grid))
    failed = sum(bound(sample, 1.0, ratio, ALPHA) < truth for sample in samples)
    assert failed <= 71


@given(arrays(np.float64, st.integers(2, 60), elements=st.floats(0, 10)), st.floats(0, 3))
def test_it_is_at_least_the_mean_and_at_most_the_cap(costs: np.ndarray, ratio: float) -> None:
    for bound in BOUNDS.values():
        value = bound(costs, 10.0, ratio, ALPHA)
        assert costs.mean() - 1e-9 <= plug_in(costs, 10.0, ratio, ALPHA) <= value + 1e-9
        assert value <= 10.0 + 1e-9


@given(arrays(np.float64, 40, elements=st.floats(0, 1)), st.floats(0, 2), st.floats(0, 1), st.floats(0.001, 0.4))
def test_more_budget_more_confidence_and_more_cost_never_lower_it(
    costs: np.ndarray, ratio: float, more: float, alpha: float
) -> None:
    for bound in BOUNDS.values():
        value = bound(costs, 1.0, ratio, alpha)
        assert bound(costs, 1.0, ratio + more, alpha) >= value - 1e-12
        assert bound(costs, 1.0, ratio, alpha / 2) >= value - 1e-12
        assert bound(np.minimum(costs + more, 1.0), 1.0, ratio, alpha) >= value - 1e-12


def test_no_attack_is_the_mean_itself(bound: Bound) -> None:
    """With budget 0 and ever more episodes the bound tends to the mean."""
    costs = stats.beta(3, 4).ppf((np.arange(100_000) + 0.5) / 100_000)
    assert bound(costs, 1.0, 0.0, ALPHA) == pytest.approx(costs.mean(), abs=0.012)
