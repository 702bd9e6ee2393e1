"""Where things are, from the environment: QUAESTOR_DATA, QUAESTOR_PATIENCE, QUAESTOR_ACTOR."""

from __future__ import annotations

import getpass
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from quaestor.store import Store


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"


class Settings(BaseSettings):
    """data: the folder of store, iterations, bundles and checkpoints. patience: seconds to wait for a busy store.
    actor: who the audit trail says acted."""

    model_config = SettingsConfigDict(env_prefix="QUAESTOR_", frozen=True)

    data: Path = Path("data")
    patience: float = Field(default=30.0, ge=0)
    actor: str = Field(default_factory=_user, min_length=1)

    @property
    def store(self) -> Store:
        """The store in the data folder."""
        return Store(self.data / "quaestor.duckdb", self.patience)

    @property
    def incoming(self) -> Path:
        """Where generated event files lie."""
        return self.data / "incoming"

    @property
    def checkpoints(self) -> Path:
        """Where interrupted training goes on from."""
        return self.data / "checkpoints"

    @property
    def bundles(self) -> Path:
        """Where exported policies lie."""
        return self.data / "bundles"
