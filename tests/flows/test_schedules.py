"""Every deployment completes runs of its cron schedule on a real server, though server, worker and a training are
killed meanwhile: what Prefect's silent breakages would stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.server import free_port
from quaestor.log.inbox import waiting
from quaestor.log.ingest import ingest_file
from quaestor.registry.report import reports
from quaestor.settings import Settings
from tests.conftest import ROOT
from tests.flows.operations import due_soon, listener, runs, small_studies, wait_until, world_events

pytestmark = [pytest.mark.slow, pytest.mark.waits]

SECONDS = 600
DEPLOYMENTS = 7
ROUNDS = 3000


def test_every_deployment_runs_when_it_is_due_though_everything_is_killed(settings: Settings, tmp_path: Path) -> None:
    for kind, path in world_events(tmp_path, 0, ROUNDS).items():
        ingest_file(settings.store, kind, path)
    (settings.inbox / "decisions").mkdir(parents=True)
    (settings.inbox / "decisions" / "torn.parquet").write_bytes(b"PAR1 but no more")
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    with listener() as (address, told):
        (tmp_path / "alerts.toml").write_text(f'to = ["{address}"]\n')
        file = due_soon(tmp_path, small_studies(tmp_path), tmp_path / "alerts.toml", datetime.now(UTC))
        environment = {**os.environ, "QUAESTOR_DATA": str(settings.data), "PREFECT_HOME": str(tmp_path / "prefect")}
        (tmp_path / "prefect").mkdir()
        command = [sys.executable, "-m", "flows", "serve", "--deployments", str(file), "--port", str(port)]
        with (tmp_path / "serve.log").open("wb") as log:
            serving = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
            try:
                (training, *_) = wait_until(lambda: trainings(url), SECONDS, "a training is at work")
                later = world_events(tmp_path, ROUNDS, ROUNDS)["decisions"]
                os.replace(later, settings.inbox / "decisions" / later.name)
                for pid in children(serving.pid).values():
                    os.kill(pid, signal.SIGKILL)
                wait_until(lambda: runs(url, ("RUNNING",)) or True, SECONDS, "the server answers again")
                kill(training)  # it was nobody's child any more
                wait_until(lambda: len(completed(url)) == DEPLOYMENTS, SECONDS, "every deployment completes a run")
                wait_until(lambda: not waiting(settings.inbox), SECONDS, "the inbox is brought in")
                wait_until(lambda: told, SECONDS, "the refused file is told")
            except AssertionError as error:
                raise AssertionError(f"{error}\n{(tmp_path / 'serve.log').read_text()[-3000:]}") from None
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


def children(parent: int) -> dict[str, int]:
    """The server and the worker of a serving process, by their pid."""
    found = {}
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        found |= {word: int(pid) for word in ("server", "worker") if word in words}
    return found


def trainings(url: str) -> list[dict[str, Any]]:
    """The retrainings that are at work, with their processes."""
    return [
        run for run in runs(url, ("RUNNING",)) if run["work_queue_name"] == "training" and run["infrastructure_pid"]
    ]


def kill(run: dict[str, Any]) -> None:
    """Ends a run's process, which may have ended by itself."""
    with suppress(ProcessLookupError):
        os.kill(int(run["infrastructure_pid"].rpartition(":")[2]), signal.SIGKILL)


def completed(url: str) -> set[str]:
    """The deployments that completed a run of their schedule."""
    done = [run for run in runs(url, ("COMPLETED",)) if run["auto_scheduled"]]
    return {run["deployment_id"] for run in done}
