"""A filled store, made once and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from quaestor.settings import Settings
from tests.app.filled import Filled, fill


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Filled]:
    """A filled data folder that no test changes, and the ids of what is in it."""
    folder = tmp_path_factory.mktemp("filled")
    settings = Settings(data=folder / "data", actor="tester")
    return settings.data, fill(settings, folder / "incoming")


@pytest.fixture
def filled(settings: Settings, template: tuple[Path, Filled]) -> Filled:
    """The filled store as this test's own."""
    data, ids = template
    shutil.copytree(data, settings.data)
    return ids
