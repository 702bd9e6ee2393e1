"""The same flows on a Ray cluster of this machine: many networks, and one network's certifying episodes shared out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.worlds.networks import write_networks
from flows.server import local_server
from quaestor.log.ingest import ingest_file
from quaestor.registry.report import IterationReport, reports
from quaestor.store import Store
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def store(data: Path) -> Store:
    return Store(data / "quaestor.duckdb")


def run(data: Path, runner: str, url: str, *arguments: str) -> str:
    """A flow by the command line, over a data folder, on a runner."""
    environment = {
        **os.environ,
        "QUAESTOR_DATA": str(data),
        "QUAESTOR_RUNNER": runner,
        "PREFECT_API_URL": url,
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "flows", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def certified(data: Path) -> dict[str, str]:
    """The digest of the certifying episodes of each iteration that has a certificate."""
    with store(data).read() as connection:
        found: list[IterationReport] = reports(connection)
    return {each.iteration_id: each.certificate.costs_digest for each in found if each.certificate is not None}


def test_ray_gives_the_same_iterations_and_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studies = tmp_path / "studies"
    demand = write_networks(studies, 2, seed=1, epochs=2)
    (tmp_path / "prefect").mkdir()
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    for runner in ("here", "ray"):
        ingest_file(store(tmp_path / runner), "demand", demand)
    with local_server() as url:
        assert "2 studies" in run(tmp_path / "here", "here", url, "many", "--studies", str(studies))
        # one network alone, its episodes played by all workers; then the other, and what is done is found
        run(tmp_path / "ray", "ray", url, "inventory", "--study", str(studies / "shop-000001.toml"))
        assert "2 studies" in run(tmp_path / "ray", "ray", url, "many", "--studies", str(studies), "--batch", "1")
    here, ray = (certified(tmp_path / runner) for runner in ("here", "ray"))
    assert len(here) == 2
    assert here == ray  # whoever played the episodes, bit for bit
    with store(tmp_path / "ray").read() as connection:
        assert connection.execute(
            "select count(distinct system) from verdicts join iterations using (iteration_id)"
        ).fetchone() == (2,)
