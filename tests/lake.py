"""A real PostgreSQL for the catalog of a lake. A test module that imports `postgres` and `settings` runs on a lake."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from quaestor.settings import Settings


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The connection string of a PostgreSQL of this session, without a database's name."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="quaestor-pg-"))  # a socket's path must be short
    as_user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    control = [*as_user, str(programs / "pg_ctl"), "-D", str(folder / "data")]
    try:
        _run([*as_user, str(programs / "initdb"), "-D", str(folder / "data"), "-U", "quaestor", "-A", "trust", "-N"])
        _run([*control, "-w", "-l", str(folder / "log"), "-o", f"-k {folder} -h '' -F -c max_connections=200", "start"])
        yield f"host={folder} user=quaestor"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], cwd="/", capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def settings(postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings over an empty lake."""
    host = postgres.split()[0].removeprefix("host=")
    name = f"t{uuid.uuid4().hex[:12]}"
    _run([str(_programs() / "createdb"), "-h", host, "-U", "quaestor", name])
    monkeypatch.setenv("QUAESTOR_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("QUAESTOR_ACTOR", "tester")
    monkeypatch.setenv("QUAESTOR_STORE", f"ducklake:postgres:dbname={name} {postgres}")
    return Settings()


def _programs() -> Path:
    """Where PostgreSQL's server programs are; skips where there are none, unless they must be there."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if found:
        return found[-1]
    reason = "no PostgreSQL here: install Debian's package postgresql; stores on a lake stay untested"
    if os.environ.get("QUAESTOR_REQUIRE_POSTGRES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
