"""Where things are, from the environment: QUAESTOR_DATA, QUAESTOR_PATIENCE, QUAESTOR_ACTOR and the like."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from quaestor.store import Store
from quaestor.store.lake import parse


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"


class Settings(BaseSettings):
    """data: the folder of store, iterations, bundles and checkpoints. store_at (QUAESTOR_STORE): a DuckDB file
    elsewhere, or ducklake:postgres:dbname=… host=… [data_path=…] for a store that many machines share. patience:
    seconds to wait for a busy store. actor: who the audit trail says acted. console: its address, for links to it.
    runner: what runs the tasks of flows over many systems, ray for a cluster (ray_address, or one on this machine where
    that is not given)."""

    model_config = SettingsConfigDict(env_prefix="QUAESTOR_", frozen=True)

    data: Path = Path("data")
    store_at: str = Field(default="", validation_alias=AliasChoices("QUAESTOR_STORE", "store_at"))
    patience: float = Field(default=30.0, ge=0)
    actor: str = Field(default_factory=_user, min_length=1)
    console: str = "http://localhost:8501"
    runner: Literal["here", "ray"] = "here"
    ray_address: str | None = None

    @property
    def store(self) -> Store:
        """The store: a file in the data folder, unless another place is named."""
        if not self.store_at:
            return Store(self.data / "quaestor.duckdb", self.patience)
        if self.store_at.endswith(".duckdb"):
            return Store(Path(self.store_at), self.patience)
        lake = parse(self.store_at, self.data / "lake")
        return Store(self.data / "lake", self.patience, lake)

    @property
    def incoming(self) -> Path:
        """Where generated event files lie."""
        return self.data / "incoming"

    @property
    def inbox(self) -> Path:
        """Where files wait that scheduled ingest brings in."""
        return self.data / "inbox"

    @property
    def ingested(self) -> Path:
        """Where files of the inbox lie once their rows are in the store."""
        return self.data / "ingested"

    @property
    def refused(self) -> Path:
        """Where files of the inbox lie that could not be read, each with its reason."""
        return self.data / "refused"

    @property
    def checkpoints(self) -> Path:
        """Where interrupted training goes on from."""
        return self.data / "checkpoints"

    @property
    def bundles(self) -> Path:
        """Where exported policies lie."""
        return self.data / "bundles"
