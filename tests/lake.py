"""A real PostgreSQL for the catalog of a lake. A test module that imports `postgres` and `settings` runs on a lake."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from quaestor.settings import Settings


class Catalog:
    """A PostgreSQL server of our own, which can be killed and started again."""

    def __init__(self) -> None:
        self._programs = _programs()
        self.folder = Path(tempfile.mkdtemp(prefix="quaestor-pg-"))  # a socket's path must be short
        self._as_user: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(self.folder, "postgres", "postgres")
            self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self.address = f"host={self.folder} user=quaestor"
        self._call("initdb", "-U", "quaestor", "-A", "trust", "-N")

    def start(self) -> None:
        """Starts it, after a crash, too, and waits until it answers."""
        options = f"-k {self.folder} -h '' -F -c max_connections=200"
        for _ in range(20):  # a backend that was just being forked as its server was killed ends a moment later
            with contextlib.suppress(AssertionError):
                return self._call("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")
            time.sleep(0.2)
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    def create(self) -> str:
        """A new database, as the setting of a lake in it."""
        name = f"t{uuid.uuid4().hex[:12]}"
        _run([str(self._programs / "createdb"), "-h", str(self.folder), "-U", "quaestor", name])
        return f"ducklake:postgres:dbname={name} {self.address}"

    def kill(self) -> None:
        """Ends it and all its backends with SIGKILL, and waits until they are gone, as a restart would."""
        first = int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for pid in (first, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and any(self._is_alive(pid) for pid in (first, *map(int, children))):
            time.sleep(0.02)

    def remove(self) -> None:
        """Ends it and deletes what it wrote."""
        with contextlib.suppress(AssertionError):
            self._call("pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _is_alive(pid: int) -> bool:
        try:
            return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
        except OSError:
            return False

    def _call(self, program: str, *arguments: str) -> None:
        _run([*self._as_user, str(self._programs / program), "-D", str(self.folder / "data"), *arguments])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Catalog]:
    """A PostgreSQL of this session."""
    catalog = Catalog()
    try:
        catalog.start()
        yield catalog
    finally:
        catalog.remove()


@pytest.fixture
def settings(postgres: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings over an empty lake."""
    monkeypatch.setenv("QUAESTOR_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("QUAESTOR_ACTOR", "tester")
    monkeypatch.setenv("QUAESTOR_STORE", postgres.create())
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
