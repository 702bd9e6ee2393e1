"""Filled stores, made once and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from quaestor.settings import Settings
from tests.app.decided import Decided, decide
from tests.app.filled import Filled, fill


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Filled]:
    """A filled data folder that no test changes, and the ids of what is in it."""
    folder = tmp_path_factory.mktemp("filled")
    settings = Settings(data=folder / "data", actor="tester")
    return settings.data, fill(settings, folder / "incoming")


@pytest.fixture(scope="session")
def decided_template(template: tuple[Path, Filled], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Decided]:
    """The same with a system of real policies and their decisions."""
    folder = tmp_path_factory.mktemp("decided")
    settings = Settings(data=folder / "data", actor="tester")
    shutil.copytree(template[0], settings.data)
    return settings.data, decide(settings, folder / "incoming")


@pytest.fixture
def filled(settings: Settings, template: tuple[Path, Filled]) -> Filled:
    """The filled store as this test's own."""
    data, ids = template
    shutil.copytree(data, settings.data)
    return ids


@pytest.fixture
def decided(settings: Settings, decided_template: tuple[Path, Decided]) -> Decided:
    """The filled store with real policies and decisions, as this test's own."""
    data, ids = decided_template
    shutil.copytree(data, settings.data)
    return ids
