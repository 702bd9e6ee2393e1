"""Scheduled operation on one machine: a server, the deployments of prefect.yaml, and a worker that runs what is due."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import SERVING, deployments
from flows.pool import POOL, Lookout, interrupted, make_pool, resume
from flows.server import child, start_server, stop
from quaestor.atomic import write_file
from quaestor.errors import QuaestorError, UsageError

PORT = 4200
LOOK_SECONDS = 2.0
RUNS_SECONDS = 30.0
"""How often unfinished runs are asked for whose process is dead."""
PATIENCE_SECONDS = (1.0, 5.0, 30.0)
"""How long a server or worker that ended is left alone before it is started again: longer each time."""
CALM_SECONDS = 600.0
"""After this long without an end, the next one is the first again."""


def serve(file: Path, port: int, say: Callable[[str], None]) -> None:
    """Applies the deployments of a prefect.yaml and runs what falls due, until interrupted.

    A server named by PREFECT_API_URL is used; without one, a server of our own is started. Server and worker are
    started again when they end, and runs that a stop interrupted go on. Raises UsageError for what cannot be right
    in the file or in a study it names, before anything is started.
    """
    if SERVING.exists() and SERVING.read_text() == os.environ.get("PREFECT_API_URL"):
        raise UsageError(f"`make serve` is at work already, at {SERVING.read_text()}; stop that one first.")
    deployments.check(file)
    logs = Path(os.environ["PREFECT_HOME"]) / "logs"
    server: subprocess.Popen[bytes] | None = None
    worker: subprocess.Popen[bytes] | None = None
    try:
        if "PREFECT_API_URL" not in os.environ:
            server, os.environ["PREFECT_API_URL"] = start_server(port, logs / "server.log")
            write_file(SERVING, os.environ["PREFECT_API_URL"].encode())
            os.environ["QUAESTOR_OWN_SERVER"] = "yes"  # a run without a process is nobody else's
        url = os.environ["PREFECT_API_URL"]
        prepare(file, say)
        worker = _worker(logs)
        say(f"Serving at {url.removesuffix('/api')}; logs in {logs}. Stop with Ctrl-C.")
        ends: list[float] = []
        lookout, looked = Lookout(), time.monotonic()
        while True:
            time.sleep(LOOK_SECONDS)
            if server is not None and server.poll() is not None:
                _pause("server", server, ends, say)
                server, _ = start_server(port, logs / "server.log")
            if worker.poll() is not None:
                _pause("worker", worker, ends, say)
                _tell(say, lambda client: resume(client, interrupted(client, worker_lives=False)))
                worker = _worker(logs)
            if time.monotonic() - looked > RUNS_SECONDS:
                _tell(say, lookout.look)
                looked = time.monotonic()
    finally:
        SERVING.unlink(missing_ok=True)
        for process in (worker, server):
            if process is not None:
                stop(process)


def prepare(file: Path, say: Callable[[str], None]) -> None:
    """Makes the pool, applies the deployments, and sets interrupted runs going again, on the server of
    PREFECT_API_URL."""
    with _client() as client:
        make_pool(client)
    applied = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if applied.returncode != 0:
        raise QuaestorError(f"{file} could not be applied: {applied.stdout[-600:].strip()} {applied.stderr[-400:]}")
    for name, cron in deployments.schedules(file):
        say(f"{name}: {cron}")
    _tell(say, lambda client: resume(client, interrupted(client, worker_lives=False)))


@contextmanager
def _client() -> Iterator[SyncPrefectClient]:
    """A client of the server of PREFECT_API_URL, which may be younger than what Prefect read of its surroundings."""
    with temporary_settings({PREFECT_API_URL: os.environ["PREFECT_API_URL"]}), get_client(sync_client=True) as client:
        yield client


def _tell(say: Callable[[str], None], asked: Callable[[SyncPrefectClient], list[str]]) -> None:
    """Says each line of an answer; a server that is down is asked again at the next look."""
    try:
        with _client() as client:
            for line in asked(client):
                say(line)
    except (httpx.HTTPError, PrefectException) as error:
        say(f"The server cannot be asked about its runs yet: {type(error).__name__}.")


def _worker(logs: Path) -> subprocess.Popen[bytes]:
    return child(["worker", "start", "--pool", POOL, "--type", "process"], logs / "worker.log")


def _pause(what: str, process: subprocess.Popen[bytes], ends: list[float], say: Callable[[str], None]) -> None:
    now = time.monotonic()
    ends[:] = [end for end in ends if now - end < CALM_SECONDS] + [now]
    if len(ends) > 2 * len(PATIENCE_SECONDS):
        raise QuaestorError(f"The {what} ended {len(ends)} times in {CALM_SECONDS / 60:g} minutes; see its log.")
    wait = PATIENCE_SECONDS[min(len(ends), len(PATIENCE_SECONDS)) - 1]
    say(f"The {what} ended with code {process.returncode}; it is started again in {wait:g} s.")
    time.sleep(wait)
