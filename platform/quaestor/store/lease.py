"""Leases: one run at a time does one thing. Who may write is decided here and never by an orchestrator's run state.

A lease is taken for a name, renewed while its run lives, and runs out where the run does not renew it. Every write made
under it carries its token (`quaestor.store.fencing`), so that a run that slept through its lease cannot write when it
wakes, whatever the clocks say (Kleppmann, "How to do distributed locking", 2016, on fencing tokens).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import duckdb
import polars as pl

from quaestor.clock import utc_now
from quaestor.errors import LeaseHeldError, LeaseLostError, QuaestorError
from quaestor.store.connection import Store
from quaestor.store.fencing import Grant, carried, carrying, next_token, prove
from quaestor.store.holder import Holder

SECONDS = 300.0
"""How long a lease holds without being renewed: longer than the store is ever busy, shorter than people wait."""
BEATS = 5
"""How often it is renewed in that time."""


def of_file(path: Path) -> str:
    """The lease of whoever brings in a file."""
    return f"file {path.absolute()}"


def of_bundle(iteration_id: str) -> str:
    """The lease of whoever exports an iteration."""
    return f"bundle of {iteration_id[:12]}"


@contextmanager
def held(store: Store, name: str, actor: str, seconds: float = SECONDS) -> Iterator[Grant]:
    """Holds a lease inside, renewed by a thread, and gives it back at the end; every write inside carries its token.

    Where it is held here already, that one is used. Raises LeaseHeldError where another run holds it.
    """
    for grant in carried(store.path):
        if grant.name == name:
            yield grant
            return
    grant = take(store, name, actor, seconds)
    over = threading.Event()
    beat = partial(copy_context().run, _beat, store, grant, over)  # by the clock that this run goes by
    beating = threading.Thread(target=beat, name=f"lease {name}", daemon=True)
    beating.start()
    try:
        with carrying(grant):
            yield grant
    finally:
        over.set()
        beating.join()
        _give_back(store, grant)


def take(store: Store, name: str, actor: str, seconds: float = SECONDS, holder: Holder | None = None) -> Grant:
    """Takes a lease that is free, has run out, or whose process is gone.

    Raises LeaseHeldError, with who holds it since when, where it is none of these.
    """
    holder = holder or Holder.me()
    with store.write() as connection:
        grant = Grant(store.path.absolute(), name, next_token(connection), seconds)
        now = utc_now()
        values = [grant.token, actor, holder.machine, holder.process, holder.started, now, now,
                  now + timedelta(seconds=seconds), name]  # fmt: skip
        former = _holding(connection, name)
        if former is None:
            connection.execute(
                "insert into leases (token, actor, machine, process, started, taken_at, renewed_at, expires_at, name) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        else:
            grant = replace(grant, took_over=_left_behind(former, now))
            # An update and not a delete: it conflicts with that of whoever proves the lease at the same time.
            connection.execute(
                "update leases set token = ?, actor = ?, machine = ?, process = ?, started = ?, taken_at = ?, "
                "renewed_at = ?, expires_at = ? where name = ?",
                values,
            )
    return grant


def renew(store: Store, grant: Grant) -> None:
    """Lets a lease hold for its whole time again; raises LeaseLostError where it ran out or is another's."""
    with store.write() as connection:
        prove(connection, grant)


def release(store: Store, grant: Grant) -> None:
    """Gives a lease back; one that is another's by now stays theirs."""
    with store.write() as connection:
        connection.execute("delete from leases where name = ? and token = ?", [grant.name, grant.token])


def listing(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Every lease that is held or was left behind: name, token, actor, machine, process, taken_at, renewed_at,
    expires_at."""
    return connection.execute(
        "select name, token, actor, machine, process, taken_at, renewed_at, expires_at from leases order by name"
    ).pl()


def _give_back(store: Store, grant: Grant) -> None:
    """Releases a lease at the end of a run; where that fails it runs out by itself, and the run's own error counts."""
    try:
        release(store, grant)
    except (QuaestorError, OSError, duckdb.Error) as error:
        logging.getLogger("quaestor").warning(f"The lease {grant.name!r} could not be given back: {error}")


def _holding(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, object] | None:
    rows = connection.execute("select * from leases where name = ?", [name]).pl().to_dicts()
    return rows[0] if rows else None


def _left_behind(former: dict[str, object], now: datetime) -> str:
    """Why a lease may be taken over, as a sentence; raises LeaseHeldError where it may not."""
    taken_at, renewed_at, expires_at = (former[key] for key in ("taken_at", "renewed_at", "expires_at"))
    assert isinstance(taken_at, datetime)
    assert isinstance(renewed_at, datetime)
    assert isinstance(expires_at, datetime)
    holder = Holder(str(former["machine"]), int(str(former["process"])), str(former["started"]))
    who = f"{former['actor']} (process {holder.process} on {holder.machine.split()[0]})"
    since = f"{taken_at:%Y-%m-%d %H:%M:%S} UTC"
    if holder.is_gone():
        return f"{who} held it since {since} and is gone"
    if now >= expires_at:
        return f"{who} held it since {since} and let it run out at {expires_at:%H:%M:%S}"
    if now < renewed_at - (
        expires_at - renewed_at
    ):  # a clock was far ahead when it was stamped, and would hold it long
        return f"{who} took it by a clock that was ahead, at {since}"
    raise LeaseHeldError(
        f"{former['name']!r} is being done by {who} since {since}; nothing was changed. Wait for it; if it died, its "
        f"lease runs out at {expires_at:%Y-%m-%d %H:%M:%S} UTC."
    )


def _beat(store: Store, grant: Grant, over: threading.Event) -> None:
    while not over.wait(grant.seconds / BEATS):
        try:
            renew(store, grant)
        except LeaseLostError as error:
            logging.getLogger("quaestor").error(str(error))
            return
        except (QuaestorError, OSError, duckdb.Error) as error:  # busy, or a disk that is full: tried again
            logging.getLogger("quaestor").warning(f"The lease {grant.name!r} could not be renewed: {error}")
