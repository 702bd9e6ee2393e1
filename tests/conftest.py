"""Every test has a data folder of its own and never touches the checkout's."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

# Prefect reads its surroundings when it is first imported, which is before any test's own folder exists.
os.environ["PREFECT_LOGGING_LEVEL"] = "WARNING"
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="quaestor-tests-prefect-")

from quaestor.settings import Settings

ROOT = Path(__file__).parent.parent
STUDIES = ROOT / "data" / "studies"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "waits: mostly waits for a clock or a server; begun first")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits long begins first, so that it does not sit alone at the end of a run of several processes."""
    items.sort(key=lambda item: item.get_closest_marker("waits") is None)


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings over an empty data folder, also for anything that reads them from the environment."""
    monkeypatch.setenv("QUAESTOR_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("QUAESTOR_ACTOR", "tester")
    return Settings()


@pytest.fixture
def shared_data() -> Path:
    """The folder of real public data, where this machine has it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.exists():
        pytest.skip(f"the real data files are not here (looked for {folder.name} beside the checkout)")
    return folder
