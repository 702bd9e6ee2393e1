"""The demo as a new user runs it, twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from quaestor.clock import utc_now
from quaestor.export.verification import verify_bundle
from quaestor.settings import Settings
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def _demo(settings: Settings) -> list[dict]:
    environment = {**os.environ, "QUAESTOR_DATA": str(settings.data)}
    command = [sys.executable, "-c", "from quaestor.cli import main; main()", "demo", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def _counts(settings: Settings) -> dict[str, int]:
    with settings.store.read() as connection:
        tables = [name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()]
        return {t: connection.execute(f"select count(*) from {t}").fetchone()[0] for t in tables}


def test_the_demo_and_the_demo_again(settings: Settings) -> None:
    first = {(row["system"], n): row for n, row in enumerate(_demo(settings))}
    payments, second_generation, bandit, inventory = first.values()
    assert payments["system"] == second_generation["system"] == "payments-world"
    assert min(payments["share_of_gap"], second_generation["share_of_gap"]) >= 0.9
    assert payments["stage"] == "live"
    assert bandit["stage"] == "needs more evidence"
    assert bandit["bundle"] is None
    assert inventory["stage"] == "waits for approval"
    for name, interval in inventory["evaluation"]["others"].items():
        assert interval["upper"] < 0, f"the candidate does not beat {name}"
    for row in first.values():
        assert len(row["certificate"]["bounds"]) == 3
        assert row["reasons"]
    for row in (payments, inventory):
        verify_bundle(Path(row["bundle"]), utc_now())
    before = _counts(settings)
    again = _demo(settings)
    assert _counts(settings) == before
    for row, earlier in zip(again, first.values(), strict=True):
        assert {"training", "evaluation", "certificate", "verdict"} <= set(row["done_before"])
        assert row["iteration_id"] == earlier["iteration_id"]
        assert row["sentence"] == earlier["sentence"]
