"""Passes over training rows: moments, sums and heads are those of all rounds at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.payments import training_rows
from models.payments.oracles.additive import AdditiveParams
from models.payments.oracles.additive_blocks import add_sums, by_cell
from models.payments.oracles.additive_fit import fit_additive
from models.payments.running_moments import RunningMoments
from tests.models.payments.test_additive import _world


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 400), st.floats(-1e4, 1e4), st.booleans())
def test_running_moments_are_those_of_all_values(seed: int, rounds: int, centre: float, missing: bool) -> None:
    draw = np.random.default_rng(seed)
    values = (centre + draw.normal(size=(rounds, 3)) * [1.0, 10.0, 0.1]).astype(np.float32)
    if missing:
        values[draw.random(values.shape) < 0.2] = np.nan
        values[0] = centre
    found = RunningMoments(3)
    for part in np.array_split(values, 3):
        found.add(part)
    wide = values.astype(np.float64)
    scale = np.nanstd(wide, axis=0) + 1e-6
    assert (found.count == np.isfinite(wide).sum(axis=0)).all()
    assert np.abs(found.mean() - np.nanmean(wide, axis=0)).max() < 1e-3 * scale.max()
    assert (found.lowest == np.nanmin(wide, axis=0)).all()
    assert (found.highest == np.nanmax(wide, axis=0)).all()
    many = found.count > 1
    expected = np.nanstd(wide[:, many], axis=0, ddof=1)
    assert found.spread()[many] == pytest.approx(expected, rel=2e-3, abs=1e-6)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([3, 5000]))
def test_sums_by_cell_are_the_same_for_few_cells_and_for_many(seed: int, rounds: int, size: int) -> None:
    draw = np.random.default_rng(seed)
    cells, values = draw.integers(0, size, rounds).astype(np.intp), draw.normal(size=rounds)
    total, expected = np.zeros(size), np.zeros(size)
    add_sums(total, by_cell(size, cells, values))
    np.add.at(expected, cells, values)
    assert total == pytest.approx(expected)


def test_a_head_finds_the_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is found does not depend on how many chunks are worked on at a time."""
    training, truth = _world(30_000, 0)
    monkeypatch.setattr(training_rows, "CHUNK", 3000)
    plain = fit_additive(AdditiveParams(terms=0), training, None)
    fast = fit_additive(AdditiveParams(sweeps=2, terms=8, head=0.3), training, None)
    errors = [np.square(oracle.predict(training.contexts) - truth).mean() for oracle in (plain, fast)]
    assert errors[1] < 0.5 * errors[0]
    monkeypatch.setattr(training_rows, "THREADS", 1)
    again = fit_additive(AdditiveParams(sweeps=2, terms=8, head=0.3), training, None)
    assert (again.predict(training.contexts) == fast.predict(training.contexts)).all()
