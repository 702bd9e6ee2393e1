"""A Prefect server of our own on this machine, as a child that does not outlive us."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quaestor.errors import QuaestorError, UsageError

STARTUP_SECONDS = 120
PARENT_DEATH = 1
"""PR_SET_PDEATHSIG of Linux."""


@contextmanager
def local_server(port: int | None = None, log: Path | None = None) -> Iterator[str]:
    """A Prefect server at a port of this machine, a free one by default, as its API's address; stopped at the end.

    Raises UsageError where the port is taken, QuaestorError where the server does not come up.
    """
    server, url = start_server(port or free_port(), log)
    try:
        yield url
    finally:
        stop(server)


def start_server(port: int, log: Path | None = None) -> tuple[subprocess.Popen[bytes], str]:
    """Starts a server and waits until it answers; returns it and its API's address."""
    refuse_taken(port)
    server = child(["server", "start", "--host", "127.0.0.1", "--port", str(port)], log)
    url = f"http://127.0.0.1:{port}/api"
    try:
        _wait_until_healthy(url, server)
    except BaseException:
        stop(server)
        raise
    return server, url


def child(arguments: list[str], log: Path | None = None) -> subprocess.Popen[bytes]:
    """A prefect command as a process of its own that ends when we end, however that happens."""
    command = [sys.executable, "-m", "prefect", *arguments]
    if log is None:
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=_die_with_parent
        )
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, preexec_fn=_die_with_parent)


def stop(process: subprocess.Popen[bytes], seconds: float = 20) -> None:
    """Asks a process to end, and ends it where it does not."""
    process.terminate()
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port of this machine that nobody listens to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refuse_taken(port: int) -> None:
    """Raises UsageError where somebody listens to a port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise UsageError(
                f"Port {port} of this machine is taken, probably by another `make serve`. Stop that one, choose "
                f"another --port, or set PREFECT_API_URL=http://127.0.0.1:{port}/api to use the server there."
            ) from None


def _die_with_parent() -> None:
    if sys.platform == "linux":  # elsewhere a killed parent leaves its children to the operator
        ctypes.CDLL(None).prctl(PARENT_DEATH, signal.SIGTERM)


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
