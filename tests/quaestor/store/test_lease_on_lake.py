"""The laws of leases, and of moves made at once, on a lake."""

from __future__ import annotations

import pytest

from tests.lake import postgres, settings
from tests.quaestor.registry.test_promotion import (
    test_of_promoters_at_once_one_wins_and_the_others_are_told_who_and_when,
)
from tests.quaestor.store.test_lease import (
    test_a_worker_that_was_frozen_ten_minutes_writes_nothing,
)

__all__ = [
    "postgres",
    "settings",
    "test_a_worker_that_was_frozen_ten_minutes_writes_nothing",
    "test_of_promoters_at_once_one_wins_and_the_others_are_told_who_and_when",
]

pytestmark = pytest.mark.slow
