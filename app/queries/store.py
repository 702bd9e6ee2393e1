"""Opens the store for a query, briefly and for reading, and reads each state of it once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import streamlit as st

from quaestor.errors import QuaestorError
from quaestor.settings import Settings
from quaestor.store import Connection, Store
from quaestor.store.snapshot import events, snapshot

Found = TypeVar("Found")
Given = ParamSpec("Given")

Digest: TypeAlias = Callable[[Connection], str]

STATES_KEPT = 128


class NoStoreError(QuaestorError):
    """Nothing was ever kept in the data folder."""


class _MovedError(Exception):
    """Somebody wrote between the look at the file and its opening."""


@dataclass
class Run:
    """One run of a screen: the connection that its queries share once one of them has to read, the stamp of the file
    that is open, and digests of what has none."""

    opened: ExitStack
    store: Store
    connection: Connection | None = None
    stamp: str | None = None
    digests: dict[str, str] = field(default_factory=dict)

    def read(self) -> Connection:
        """The connection; raises NoStoreError where there is no store, and makes none."""
        if self.connection is None:
            self.connection = self.opened.enter_context(existing(self.store).read())
            self.stamp = self.store.stamp()  # nobody writes a file that is being read
        return self.connection

    def key(self, *parts: object) -> str:
        """A key of what is read from this store."""
        return key_of(str(self.store.path.absolute()), *parts)

    def state(self, of: Digest) -> str:
        """The digest of what the run sees; a file that nobody has written since is not read for it again."""
        name, stamp = of.__name__, self.store.stamp() if self.connection is None else self.stamp
        if stamp is not None:
            return _digest(self.key(stamp, name), lambda: of(self.read()))
        if name not in self.digests:
            self.digests[name] = of(self.read())
        return self.digests[name]


def existing(store: Store) -> Store:
    """The store; raises NoStoreError where there is none."""
    if not store.exists():
        raise NoStoreError("There is no store yet.")
    return store


_RUN: ContextVar[Run | None] = ContextVar("run", default=None)


@contextmanager
def together() -> Iterator[Run]:
    """Queries in this block open the store at most once, for reading, and from then on see one state of it."""
    run = _RUN.get()
    if run is not None:
        yield run
        return
    with ExitStack() as opened:
        run = Run(opened, Settings().store)
        token = _RUN.set(run)
        try:
            yield run
        finally:
            _RUN.reset(token)


@contextmanager
def apart() -> Iterator[None]:
    """Queries in this block open the store for themselves, and nothing keeps this process from writing meanwhile."""
    run = _RUN.get()
    if run is not None:
        run.opened.close()
        run.connection, run.stamp, run.digests = None, None, {}
    token = _RUN.set(None)
    try:
        yield
    finally:
        _RUN.reset(token)


@contextmanager
def reading() -> Iterator[Connection]:
    """A connection to the store; raises NoStoreError where there is none, and makes none."""
    with together() as run:
        yield run.read()


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


def _by(of: Digest, query: Callable[Concatenate[Connection, Given], Found]) -> Callable[Given, Found]:
    name = f"{query.__module__}.{query.__qualname__}"

    @wraps(query)
    def read(*args: Given.args, **kwargs: Given.kwargs) -> Found:
        with together() as run:
            try:
                return _of_state(run, of, name, query, *args, **kwargs)
            except _MovedError:  # the store is open now, and moves no more
                return _of_state(run, of, name, query, *args, **kwargs)

    return read


def _of_state(
    run: Run,
    of: Digest,
    name: str,
    query: Callable[Concatenate[Connection, Given], Found],
    *args: Given.args,
    **kwargs: Given.kwargs,
) -> Found:
    state = run.state(of)

    def ask() -> Found:
        connection = run.read()
        if run.state(of) != state:
            raise _MovedError
        return query(connection, *args, **kwargs)

    found: Found = _kept(run.key(name, state, *args, *kwargs.items()), ask)
    return found


def kept_of_events(name: str, query: Callable[[], Found]) -> Found:
    """A part of a query that reads events and manifests alone, remembered as `remembered_of_events` does; name: of the
    part, with everything that it depends on."""
    with together() as run:
        run.read()  # the part reads the state that the query sees
        found: Found = _kept(run.key(name, run.state(events)), query)
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
    with together() as run:
        return run.state(snapshot)


def content(found: tuple[str, Any] | None) -> dict[str, Any] | None:
    """What a piece of evidence says; None where there is none."""
    return None if found is None else dict(found[1])


@st.cache_resource(max_entries=STATES_KEPT, show_spinner=False)
def _kept(key: str, _query: Callable[[], Any]) -> Any:
    return _query()


@st.cache_resource(max_entries=STATES_KEPT, show_spinner=False)
def _digest(key: str, _of: Callable[[], str]) -> str:
    return _of()
