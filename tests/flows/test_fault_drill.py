"""Flows that are killed with SIGKILL come to the same end when they are started again."""

from __future__ import annotations

import os

import pytest

from benchmarks.fault_drill import drill

KILLS = 1


@pytest.mark.slow
def test_what_is_killed_is_neither_torn_nor_lost_nor_doubled_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "PREFECT_HOME",
        "PREFECT_API_URL",
        "OMP_NUM_THREADS",
        "QUAESTOR_ACTOR",
        "PREFECT_LOGGING_TO_API_ENABLED",
    ):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # what the drill sets is put back
    monkeypatch.delenv("PREFECT_API_URL")
    (row,) = drill(("payments",), KILLS, seed=1)
    assert row == {"flow": "payments", "kills": KILLS, "torn": 0, "lost": 0, "doubled": 0, "resumed": KILLS}
