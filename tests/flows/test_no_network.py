"""Nothing of a retraining or a decision leaves this machine: each process notes whom it calls, and is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Loaded by every Python of the run, Prefect's own server included.
GUARD = """
import os, socket, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if isinstance(address, tuple) and address and address[0] not in ("127.0.0.1", "::1", "localhost"):
            note(f"{event} {address}")
    elif event == "socket.getaddrinfo" and arguments[0] not in (None, "", "127.0.0.1", "::1", "localhost", "0.0.0.0"):
        note(f"{event} {arguments[0]}")

def note(line):
    with open(os.environ["QUAESTOR_CALLS"], "a") as file:
        file.write(line + chr(10))
    raise PermissionError(f"this run may not call out: {line}")

sys.addaudithook(refuse)
"""
RUN = """
import sys
from pathlib import Path
import polars as pl
from benchmarks.drills import flows
from quaestor.export.runtime import load
from quaestor.settings import Settings

folder = Path(sys.argv[1])
flows.write_inputs(folder)
flows.ingest(folder)
flows.payments(folder)
(bundle,) = [path for path in (Settings().bundles / "drill-payments").iterdir() if path.is_dir()]
logged = pl.read_parquet(folder / "d0.parquet").head(5).drop("action", "propensity", "propensities", "iteration_id")
decided = load(bundle).decide(logged)
print("decided", len(decided))
"""
OUTWARD = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"


def _run(code: str, folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Runs code under the guard; returns how it ended, and whom it or its children called."""
    (folder / "guard").mkdir()
    (folder / "guard" / "sitecustomize.py").write_text(GUARD)
    calls = folder / "calls.txt"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(folder / "guard"), str(ROOT / "platform"), str(ROOT))),
        "QUAESTOR_CALLS": str(calls),
        "QUAESTOR_DATA": str(folder / "data"),
        "PREFECT_HOME": str(folder / "prefect"),
    }
    environment.pop("PREFECT_API_URL", None)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False,
        timeout=400,
    )  # fmt: skip
    return done, calls.read_text().splitlines() if calls.exists() else []


def test_the_guard_sees_and_refuses_a_call(tmp_path: Path) -> None:
    done, calls = _run(OUTWARD, tmp_path)
    assert done.returncode != 0
    assert calls == ["socket.connect ('192.0.2.1', 80)"] or "192.0.2.1" in calls[0]


@pytest.mark.slow
def test_a_retraining_and_a_decision_call_nobody(tmp_path: Path) -> None:
    done, calls = _run(RUN, tmp_path, str(tmp_path / "inputs"))
    assert calls == []
    assert done.returncode == 0, done.stderr[-2000:]
    assert "decided 5" in done.stdout
