"""The simulated loop holds its invariants on new seeds and on all that ever failed, and finds planted bugs."""

from __future__ import annotations

import time

import pytest

from tests.simulation.many import kept_seeds, simulate_one
from tests.simulation.plants import PLANTS

NEW_SEEDS = 12
FOUND_WITHIN = 200


@pytest.mark.slow
def test_new_seeds_hold_every_invariant() -> None:
    """Seeds by the clock; `python -m tests.simulation --seeds 1 --first SEED` keeps one that fails for ever."""
    first = int(time.time()) * 1000
    print(f"{NEW_SEEDS} seeds from {first}")
    for seed in range(first, first + NEW_SEEDS):
        failure = simulate_one(seed)
        assert failure is None, f"seed {seed}: {failure.said}\n" + "\n".join(failure.log[-40:])


@pytest.mark.slow
def test_every_seed_that_ever_failed_holds_now() -> None:
    for seed in kept_seeds():
        failure = simulate_one(seed)
        assert failure is None, f"seed {seed}: {failure.said}"


@pytest.mark.slow
@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_bug_is_found(plant: str) -> None:
    """Each within 200 seeds, from a first seed that is fixed, so that this cannot fail by chance."""
    for seed in range(FOUND_WITHIN):
        failure = simulate_one(seed, plant)
        if failure is not None:
            assert failure.said.startswith(PLANTS[plant].breaks), failure.said
            return
    pytest.fail(f"{plant!r} was not found in {FOUND_WITHIN} seeds")


@pytest.mark.slow
def test_one_seed_is_one_run() -> None:
    """The same seed fails in the same way after the same steps."""
    one, two = (simulate_one(3, "dropped fsync") for _ in range(2))
    assert one is not None
    assert two is not None
    assert one.log == two.log
