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
