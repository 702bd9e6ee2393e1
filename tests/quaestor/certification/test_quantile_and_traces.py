"""Quantile, beyond-cap and per-trace certificates: valid over many seeds, and better where they should be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtr, ndtri

from quaestor.certification.berk_jones import crossing, pointwise_level, quantiles
from quaestor.certification.betting import upper_mean
from quaestor.certification.clopper_pearson import beyond_cap
from quaestor.certification.crossing_table import crossing_from_table
from quaestor.certification.distortion import distort
from quaestor.certification.per_trace import Normal, dual_values, per_trace, range_of
from quaestor.certification.quantile import quantile_bound
from quaestor.certification.tangent import tangent_betting
from quaestor.errors import UsageError


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_a_quantile_certificate_needs_no_cap(ratio: float) -> None:
    """Cauchy costs have no mean; the level is exceeded under the worst attack more than said in ≤ 5 % of samples."""
    law, draw = stats.cauchy(), np.random.default_rng(1)
    failed = 0
    for _ in range(1000):
        level = quantile_bound(law.rvs(400, random_state=draw), 0.2, ratio, 0.05)
        failed += float(distort(np.array(law.sf(level)), ratio)) > 0.2
    assert failed <= 71


def test_its_rank_is_the_pages_formula() -> None:
    costs, alpha, exceedance, ratio = np.arange(1.0, 1001.0), 0.05, 0.1, 0.5
    allowed = ndtr(ndtri(exceedance) - ratio)
    rank = next(r for r in range(1, 1001) if stats.binom.cdf(r - 1, 1000, 1 - allowed) >= 1 - alpha)
    assert quantile_bound(costs, exceedance, ratio, alpha) == float(rank)


def test_too_few_episodes_for_a_quantile_are_said() -> None:
    with pytest.raises(UsageError, match="at least"):
        quantile_bound(np.arange(50.0), 0.01, 1.0, 0.05)


def test_the_tail_beyond_the_cap_is_bounded() -> None:
    draw, ratios = np.random.default_rng(2), np.array([0.0, 1.0])
    truth = np.array([0.02, float(distort(np.array(0.02), 1.0))])
    failed = sum(beyond_cap(int(draw.binomial(500, 0.02)), 500, ratios, 0.05) < truth for _ in range(1000))
    assert (failed <= 71).all()
    assert beyond_cap(50, 1000, np.array([1.0]), 0.05)[0] == pytest.approx(0.297649682194, abs=5e-13)


def varying(draw: np.random.Generator, traces: int, draws: int) -> np.ndarray:
    """Costs whose level differs between traces and whose noise is skewed."""
    level = 40 + 40 * draw.beta(2, 2, traces)
    return level[:, None] + 2 * draw.exponential(1.0, (traces, draws))


@pytest.mark.slow
def test_per_trace_certificates_fail_no_more_often_than_they_say() -> None:
    """An exponential law in each trace, for which the normal guess is wrong."""
    draw, ratio = np.random.default_rng(3), 1.0
    extra = 2 * 2.23175104
    truth = 55.0 + extra
    failed = sum(per_trace(varying(draw, 100, 4), 100.0, np.array([ratio]), 0.05)[0] < truth for _ in range(1000))
    assert failed <= 71


def test_per_trace_is_tighter_where_demand_varies() -> None:
    costs = varying(np.random.default_rng(4), 2000, 3)
    alone = varying(np.random.default_rng(5), 6000, 1)[:, 0]
    whole = tangent_betting(alone, 100.0, np.array([1.0]), 0.05)[0]
    assert per_trace(costs, 100.0, np.array([1.0]), 0.05)[0] < whole


@settings(max_examples=20, deadline=None)
@given(
    st.floats(5, 95), st.floats(0.5, 30), st.floats(0.05, 2), st.floats(0.001, 0.3), st.floats(0, 100)
)  # fmt: skip
def test_the_dual_of_a_normal_guess_is_the_integral(
    mean: float, deviation: float, ratio: float, floor: float, cost: float
) -> None:
    cap, levels = 100.0, np.linspace(0, 100.0, 40_001)
    score = np.maximum((mean - levels) / deviation, ndtri(floor))
    guess, tangent = ndtr(score), np.exp(-ratio * score - ratio**2 / 2)
    expected = np.trapezoid(ndtr(score + ratio) - tangent * guess, levels)
    expected += np.trapezoid(np.where(levels <= cost, tangent, 0.0), levels)
    guessed = Normal(np.array([[mean]]), np.array([[deviation]]))
    found = float(dual_values(np.array([[cost]]), guessed, cap, ratio, floor)[0, 0])
    assert found == pytest.approx(expected, rel=1e-3, abs=2e-2)
    assert found <= range_of(cap, ratio, floor) + 1e-9


def test_the_berk_jones_level_is_exact() -> None:
    """Against simulation, and the table against the computation it was made by."""
    uniforms = np.sort(np.random.default_rng(5).random((40_000, 20)), axis=1)
    lower = quantiles(20, pointwise_level(20, 0.05))
    assert (uniforms < lower).any(axis=1).mean() == pytest.approx(0.05, abs=0.004)
    assert crossing(quantiles(2, 0.05)) == pytest.approx(1 - 0.9106825701, abs=1e-9)
    assert crossing_from_table(1500, 0.002) == pytest.approx(crossing(quantiles(1500, 0.002)), rel=1e-3)


def test_digital_stakes_are_nearer_to_the_normal_bound_than_constant_ones() -> None:
    draw, widths = np.random.default_rng(6), []
    for _ in range(60):
        values = draw.beta(2, 5, 4000)
        widths.append((upper_mean(values, 0.05, 0.0255, 400) - values.mean()) / 0.1597 * 4000**0.5)
    assert 1.6 < np.mean(widths) < 1.85  # 1.645 is the normal bound, 2.448 what constant stakes come to
