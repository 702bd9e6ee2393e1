"""Every deployment completes runs of its cron schedule on a real server, and goes on after server and worker were
killed: what Prefect's silent breakages would stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.server import free_port
from quaestor.log.inbox import waiting
from quaestor.registry.report import reports
from quaestor.settings import Settings
from tests.conftest import ROOT
from tests.flows.operations import ask, every_minute, listener, runs, small_studies, wait_until, world_events

pytestmark = pytest.mark.slow

SECONDS = 420
DEPLOYMENTS = 7
ROUNDS = 3000


def children(parent: int) -> dict[str, int]:
    """The server and the worker of a serving process, by their pid."""
    found = {}
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        found |= {word: int(pid) for word in ("server", "worker") if word in words}
    return found


def test_every_deployment_runs_when_it_is_due_and_again_after_everything_was_killed(
    settings: Settings, tmp_path: Path
) -> None:
    for kind, path in world_events(tmp_path, 0, ROUNDS).items():
        (settings.inbox / kind).mkdir(parents=True)
        os.replace(path, settings.inbox / kind / path.name)
    (settings.inbox / "decisions" / "torn.parquet").write_bytes(b"PAR1 but no more")
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    with listener() as (address, told):
        (tmp_path / "alerts.toml").write_text(f'to = ["{address}"]\n')
        file = every_minute(tmp_path, small_studies(tmp_path), tmp_path / "alerts.toml")
        environment = {**os.environ, "QUAESTOR_DATA": str(settings.data), "PREFECT_HOME": str(tmp_path / "prefect")}
        (tmp_path / "prefect").mkdir()
        command = [sys.executable, "-m", "flows", "serve", "--deployments", str(file), "--port", str(port)]
        with (tmp_path / "serve.log").open("wb") as log:
            serving = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
            try:
                wait_until(lambda: len(completed(url)) == DEPLOYMENTS, SECONDS, "every deployment completes a run")
                wait_until(lambda: told, SECONDS, "the refused file is told")
                later = world_events(tmp_path, ROUNDS, ROUNDS)["decisions"]
                os.replace(later, settings.inbox / "decisions" / later.name)
                for pid in children(serving.pid).values():
                    os.kill(pid, signal.SIGKILL)
                wait_until(lambda: not waiting(settings.inbox), SECONDS, "the inbox is brought in after the kill")
            finally:
                serving.send_signal(signal.SIGTERM)
                serving.wait(timeout=60)
    assert "The server ended with code -9" in (tmp_path / "serve.log").read_text()
    with settings.store.read() as connection:
        assert connection.execute("select count(*) from decisions").fetchone() == (2 * ROUNDS,)
        assert len(reports(connection, "payments-world")) >= 2
        assert any(report.stage != "live" for report in reports(connection, "one-store-lost"))
    assert "torn.parquet" in json.dumps(told[0])
    assert sum("torn.parquet" in json.dumps(message) for message in told) == 1


def completed(url: str) -> set[str]:
    """The deployments that completed a run of their schedule."""
    done = [run for run in runs(url, ("COMPLETED",)) if run["auto_scheduled"]]
    return {run["deployment_id"] for run in done}


def test_bad_parameters_are_refused_by_the_server(tmp_path: Path) -> None:
    from flows.server import local_server

    environment = {**os.environ, "PREFECT_HOME": str(tmp_path)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(tmp_path))
        with local_server() as url:
            applied = subprocess.run(
                [sys.executable, "-m", "flows", "deploy"],
                cwd=ROOT, env={**environment, "PREFECT_API_URL": url}, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert applied.returncode == 0, applied.stderr
            found = {each["name"]: each["id"] for each in ask(url, "deployments/filter", {})}
            with pytest.raises(OSError, match=r"409|422"):
                ask(url, f"deployments/{found['favorita-demo']}/create_flow_run", {"parameters": {"study": 7}})
