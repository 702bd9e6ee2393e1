"""The operations guide is a path that a fresh person walks: each of its commands is run as it is written."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.flows.operations import ask, wait_until
from tests.lake import Catalog, postgres

__all__ = ["postgres"]

GUIDE = ROOT / "docs" / "operations.md"
BLOCK = re.compile(r"^```sh ?(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INTERNAL = re.compile(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)")
SERVER = "http://127.0.0.1:4200/api"


def blocks(*kinds: str) -> list[tuple[str, str]]:
    """The guide's blocks of commands of these kinds, in order: kind and text."""
    return [(kind, text) for kind, text in BLOCK.findall(GUIDE.read_text()) if kind in kinds]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout as `make install` leaves it, whose data folder holds nothing but what is tracked."""
    place = tmp_path / "checkout"
    place.mkdir()
    for name in ("app", "benchmarks", "docs", "flows", "models", "platform", "tests", "Makefile", "prefect.yaml",
                 "pyproject.toml", "requirements.lock", "README.md"):  # fmt: skip
        (place / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "data" / "studies", place / "data" / "studies")
    environment = Path(sys.prefix)
    (place / ".venv").mkdir()
    for part in environment.iterdir():
        (place / ".venv" / part.name).symlink_to(part)
    (place / ".venv" / ".installed").unlink(missing_ok=True)
    (place / ".venv" / ".installed").touch()  # newer than what it was installed from: make has nothing to do
    return place


@contextmanager
def in_the_background(command: str, place: Path, environment: dict[str, str]) -> Iterator[None]:
    """A command that goes on while the others run, and is interrupted at the end."""
    with (place / "background.log").open("wb") as log:
        running = subprocess.Popen(
            ["bash", "-c", command], cwd=place, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield
        finally:
            os.killpg(running.pid, 2)
            try:
                running.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, 9)


def test_its_links_lead_somewhere() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        anchors = {re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).strip().replace(" ", "-")
                   for line in page.read_text().splitlines() if line.startswith("#")}  # fmt: skip
        for path, anchor in INTERNAL.findall(page.read_text()):
            assert (page.parent / path).exists() if path else anchor[1:] in anchors, f"{page.name}: {path}{anchor}"


@pytest.mark.slow
@pytest.mark.waits
def test_a_fresh_person_walks_through_the_guide(checkout: Path) -> None:
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", 4200)) != 0, "port 4200 is taken; the guide needs it"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("QUAESTOR_", "PREFECT_"))}
    home = str(checkout / "data" / "prefect")
    environment = {**inherited, "PREFECT_HOME": home, "DO_NOT_TRACK": "1"}
    (serving,) = blocks("server")
    script = ["set -eu"]
    for number, (_, text) in enumerate(blocks("")):
        for line in text.splitlines():
            expected = re.fullmatch(r"(.*\S)\s+# exit (\d)", line)
            script.append(f"{expected[1]} && exit 99 || test $? = {expected[2]}" if expected else line)
        script.append(f"echo 'block {number} is done'")
    with in_the_background(serving[1], checkout, environment):
        wait_until(lambda: len(ask(SERVER, "deployments/filter", {})) == 7, 240, "make serve applies the deployments")
        walked = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        said = f"{walked.stdout[-3000:]}\n{walked.stderr[-3000:]}"
        assert walked.returncode == 0, said
        assert f"block {len(blocks('')) - 1} is done" in walked.stdout, said
        wait_until(
            lambda: [run for run in ask(SERVER, "flow_runs/filter", {}) if run["state_type"] == "COMPLETED"],
            240,
            "the run that was asked for completes",
        )


@pytest.mark.slow
@pytest.mark.waits
def test_the_path_with_postgresql(postgres: Catalog, checkout: Path) -> None:
    host = str(postgres.folder)
    subprocess.run(["psql", "-h", host, "-U", "quaestor", "-c", "create database prefect", "postgres"], check=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("QUAESTOR_", "PREFECT_"))}
    environment = {
        **inherited,
        "PATH": f"{checkout / '.venv' / 'bin'}:{os.environ['PATH']}",
        "PREFECT_HOME": str(checkout / "data" / "prefect"),
        "PREFECT_DATABASE": f"postgresql+asyncpg://quaestor@/prefect?host={host}",
        "DO_NOT_TRACK": "1",
    }
    ((_, server),) = blocks("postgresql")
    ((_, deploying),) = blocks("deploy")
    with in_the_background(server, checkout, environment):
        url = "http://127.0.0.1:4280/api"
        wait_until(lambda: ask(url, "flows/filter", {}) == [] or True, 240, "the server answers")
        done = subprocess.run(
            ["bash", "-c", f"set -eu\n{deploying}"],
            cwd=checkout, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
        assert len(ask(url, "deployments/filter", {})) == 7
    counted = subprocess.run(
        ["psql", "-h", host, "-U", "quaestor", "-At", "-c", "select count(*) from deployment", "prefect"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert counted.stdout.strip() == "7"
