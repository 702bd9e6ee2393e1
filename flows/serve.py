"""Scheduled retraining on one machine: a Prefect server of our own, and a process that runs what falls due."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from quaestor.errors import QuaestorError, UsageError

STARTUP_SECONDS = 120
DEPLOYMENT = "scheduled"
WATCHED = "*/15 * * * *"
"""When the canary of a study that has one is looked at."""


def serve_schedule(study: Path, cron: str) -> None:
    """Deploys the payments retraining with a cron schedule, and the watch of its canary if the study has one, and
    runs both until interrupted.

    A server named by PREFECT_API_URL is used; without one, a local server is started and stopped with this process.
    Raises UsageError for a study that cannot be read or a cron expression that is none.
    """
    if "PREFECT_API_URL" in os.environ:
        _serve(study, cron)
        return
    with local_server() as url:
        os.environ["PREFECT_API_URL"] = url
        _serve(study, cron)


@contextmanager
def local_server() -> Iterator[str]:
    """A Prefect server on a free port of this machine, as its API's address; stopped at the end."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}/api"
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-ui",
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_healthy(url, server)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()


def _serve(study: Path, cron: str) -> None:
    # Prefect reads its settings when it is imported, so it is imported only now.
    from prefect import serve
    from prefect.deployments.runner import RunnerDeployment
    from prefect.schedules import Cron

    from flows.retrain_payments import run_retrain_payments
    from flows.studies import read_payments_study
    from flows.watch_canary import run_watch_canary

    params, parameters = read_payments_study(study), {"study": str(study)}
    made = []
    try:
        schedule = Cron(cron, timezone="UTC")
        made.append(
            run_retrain_payments.to_deployment(
                DEPLOYMENT, schedule=schedule, parameters=parameters, tags=[params.system]
            )
        )
    except ValueError as error:
        raise UsageError(f"{cron!r} is not a cron expression such as '0 3 * * *': {error}") from None
    if params.canary is not None:
        watching = Cron(WATCHED, timezone="UTC")
        made.append(
            run_watch_canary.to_deployment(DEPLOYMENT, schedule=watching, parameters=parameters, tags=[params.system])
        )
    # A schedule that pauses itself when a process ends would stay silent after a restart.
    serve(*(cast(RunnerDeployment, each) for each in made), pause_on_shutdown=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise QuaestorError(
                f"The Prefect server ended with code {server.returncode}; see the log under PREFECT_HOME."
            )
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise QuaestorError(f"The Prefect server did not answer within {STARTUP_SECONDS} s.")
