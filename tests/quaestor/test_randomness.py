"""Chance as a function of names: reproducible anywhere, and still chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from quaestor.randomness import (
    FEW,
    event_key,
    event_keys,
    generator,
    normals,
    normals_of,
    stream_seed,
    uniform,
    uniforms,
)

KEYS = [2043708893531224274, 6133630706406908453]
UNIFORMS = [0.5773642536871575, 0.3815186641619693, 0.4687131953197958, 0.08239543951694756]
IDS = [f"event-{n}" for n in range(20_000)]


def test_known_values_hold_on_every_host_and_release() -> None:
    """A change here would re-randomise every logged decision: it needs a new format number, not a new figure."""
    keys = event_keys("salt", "shop", ["a", "b"])
    assert keys.tolist() == KEYS
    assert uniforms(keys, 2).ravel().tolist() == UNIFORMS


def test_draws_depend_on_salt_system_event_and_nothing_else() -> None:
    base = uniforms(event_keys("s", "x", IDS), 1)
    assert (uniforms(event_keys("s", "x", IDS[::-1]), 1) == base[::-1]).all()
    for salt, system in (("t", "x"), ("s", "y")):
        other = uniforms(event_keys(salt, system, IDS), 1)
        assert abs(np.corrcoef(base[:, 0], other[:, 0])[0, 1]) < 4 / len(IDS) ** 0.5


def test_uniforms_are_uniform_and_counters_independent() -> None:
    draws = uniforms(event_keys("s", "x", IDS), 3)
    assert ((draws > 0) & (draws < 1)).all()
    for column in draws.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    assert np.abs(np.corrcoef(draws.T) - np.eye(3)).max() < 4 / len(IDS) ** 0.5


def test_normals_are_standard_normal_and_independent_of_the_draw() -> None:
    keys = event_keys("s", "x", IDS)
    noise = normals(keys, 2)
    for column in noise.T:
        assert stats.kstest(column, "norm").pvalue > 1e-4
    assert abs(np.corrcoef(noise[:, 0], uniforms(keys, 1)[:, 0])[0, 1]) < 4 / len(IDS) ** 0.5


def test_streams_are_their_own() -> None:
    one, again, other = (generator(1, name).random(5) for name in ("a", "a", "b"))
    assert (one == again).all()
    assert not (one == other).any()
    assert stream_seed(1, "a") != stream_seed(2, "a")


@pytest.mark.parametrize("names", [("a", "bc"), ("ab", "c")])
def test_names_do_not_run_together(names: tuple[str, str]) -> None:
    assert stream_seed(0, *names) != stream_seed(0, "abc")


@given(st.text(), st.integers(0, 2 * FEW), st.integers(1, 3))
def test_one_key_draws_what_many_draw_to_the_bit(event_id: str, count: int, stream: int) -> None:
    keys, key = event_keys("s", "x", ["before", event_id, "after"]), event_key("s", "x", event_id)
    assert key == keys[1]
    assert uniform(key) == uniforms(keys, 1)[1, 0]
    assert normals_of(key, count, stream) == normals(keys, count, stream)[1].tolist()
