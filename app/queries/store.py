"""Opens the store for a query, briefly and for reading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from quaestor.errors import QuaestorError
from quaestor.settings import Settings
from quaestor.store import Connection


class NoStoreError(QuaestorError):
    """Nothing was ever kept in the data folder."""


@contextmanager
def reading() -> Iterator[Connection]:
    """A connection to the store; raises NoStoreError where there is none, and makes none."""
    store = Settings().store
    if not store.path.exists():
        raise NoStoreError("There is no store yet.")
    with store.read() as connection:
        yield connection


def content(found: tuple[str, Any] | None) -> dict[str, Any] | None:
    """What a piece of evidence says; None where there is none."""
    return None if found is None else dict(found[1])
