"""Opens the store for a query, briefly and for reading, and reads each state of it once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import streamlit as st

from quaestor.errors import QuaestorError
from quaestor.settings import Settings
from quaestor.store import Connection
from quaestor.store.snapshot import events, snapshot

Found = TypeVar("Found")
Given = ParamSpec("Given")

STATES_KEPT = 128


class NoStoreError(QuaestorError):
    """Nothing was ever kept in the data folder."""


@contextmanager
def reading() -> Iterator[Connection]:
    """A connection to the store; raises NoStoreError where there is none, and makes none."""
    store = Settings().store
    if not store.exists():
        raise NoStoreError("There is no store yet.")
    with store.read() as connection:
        yield connection


def remembered(query: Callable[Concatenate[Connection, Given], Found]) -> Callable[Given, Found]:
    """A query as a function of its small arguments alone, which reads each state of the store once.

    What it returns is shared by everyone who looks, so that it must not be changed. Arguments are text, numbers or
    None; anything that depends on the time of day takes the moment as an argument.
    """
    return _by(snapshot, query)


def remembered_of_events(query: Callable[Concatenate[Connection, Given], Found]) -> Callable[Given, Found]:
    """The same for a query that reads events and manifests alone: it reads each state of those once, however much is
    written down about iterations meanwhile."""
    return _by(events, query)


def _by(
    state_of: Callable[[Connection], str], query: Callable[Concatenate[Connection, Given], Found]
) -> Callable[Given, Found]:
    name = f"{query.__module__}.{query.__qualname__}"

    @wraps(query)
    def read(*args: Given.args, **kwargs: Given.kwargs) -> Found:
        with reading() as connection:
            key = key_of(name, str(Settings().store.path.absolute()), state_of(connection), *args, *kwargs.items())
            found: Found = _kept(key, lambda: query(connection, *args, **kwargs))
            return found

    return read


def kept_of_events(connection: Connection, name: str, query: Callable[[], Found]) -> Found:
    """A part of a query that reads events and manifests alone, remembered as `remembered_of_events` does; name: of the
    part, with everything that it depends on."""
    found: Found = _kept(key_of(name, str(Settings().store.path.absolute()), events(connection)), query)
    return found


def key_of(*parts: object) -> str:
    """One text of fixed length that no other parts give: caches that hash their arguments one by one, or by samples of
    a frame, take different ones for equal. Raises TypeError for anything but text, numbers, None and pairs of them."""
    for part in parts:
        for each in part if isinstance(part, tuple) else (part,):
            if not isinstance(each, str | int | float | None):
                raise TypeError(f"a query is remembered by text and numbers, not by a {type(each).__name__}.")
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def state() -> str:
    """The digest of the store's present state."""
    with reading() as connection:
        return snapshot(connection)


def content(found: tuple[str, Any] | None) -> dict[str, Any] | None:
    """What a piece of evidence says; None where there is none."""
    return None if found is None else dict(found[1])


@st.cache_resource(max_entries=STATES_KEPT, show_spinner=False)
def _kept(key: str, _query: Callable[[], Any]) -> Any:
    return _query()
