"""A real scheduled run on a real server: what Prefect's silent breakages would stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from flows.serve import local_server
from quaestor.errors import UsageError
from quaestor.log.ingest import ingest_file
from quaestor.log.lookalike.open_bandit import write_open_bandit
from quaestor.registry.report import reports
from quaestor.settings import Settings
from tests.conftest import ROOT, STUDIES

SECONDS = 240


def test_what_is_no_cron_expression_is_said(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.serve import serve_schedule

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(UsageError, match="not a cron expression"):
        serve_schedule(STUDIES / "payments" / "open_bandit_men.toml", "every day")


@pytest.mark.slow
def test_a_scheduled_run_completes(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in write_open_bandit(tmp_path, seed=0):
        ingest_file(settings.store, "open-bandit", path)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    (tmp_path / "prefect").mkdir()
    with local_server() as url:
        environment = {**os.environ, "PREFECT_API_URL": url, "QUAESTOR_DATA": str(settings.data)}
        study = STUDIES / "payments" / "open_bandit_men.toml"
        command = [sys.executable, "-m", "flows", "serve", "--study", str(study), "--cron", "* * * * *"]
        with (tmp_path / "serve.log").open("wb") as log:
            serving = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
            try:
                run = _first_finished(url, time.monotonic() + SECONDS)
            finally:
                serving.send_signal(signal.SIGINT)
                serving.wait(timeout=60)
    assert run["state_type"] == "COMPLETED", (tmp_path / "serve.log").read_text()[-3000:]
    assert run["auto_scheduled"] is True
    with settings.store.read() as connection:
        stages = [report.stage for report in reports(connection, "open-bandit-men")]
    assert stages == ["live", "needs more evidence"]


def _first_finished(url: str, deadline: float) -> dict[str, object]:
    """The first flow run on the server to reach an end; fails the test at the deadline."""
    wanted = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}}
    while time.monotonic() < deadline:
        request = urllib.request.Request(
            f"{url}/flow_runs/filter", json.dumps(wanted).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            found = json.load(answer)
        if found:
            return found[0]
        time.sleep(2)
    pytest.fail(f"no scheduled run finished within {SECONDS} s")
