"""Whether a writer still may: the token of its lease is proved inside each of its transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb

from quaestor.clock import utc_now
from quaestor.errors import LeaseLostError


@dataclass(frozen=True)
class Grant:
    """A lease of a store as it was granted: plain values, so that it can be carried to another process.

    token: grows with every grant of the store. seconds: how long it holds after each proof. took_over: a sentence
    about the run that left it behind, if one did.
    """

    store: Path
    name: str
    token: int
    seconds: float
    took_over: str | None = None


_CARRIED: ContextVar[tuple[Grant, ...]] = ContextVar("grants", default=())


def carried(store: Path) -> tuple[Grant, ...]:
    """The grants of a store that writes are made under here."""
    return tuple(grant for grant in _CARRIED.get() if grant.store == store.absolute())


@contextmanager
def carrying(grant: Grant) -> Iterator[Grant]:
    """Inside, every transaction on the grant's store proves it first."""
    reset = _CARRIED.set((*_CARRIED.get(), grant))
    try:
        yield grant
    finally:
        _CARRIED.reset(reset)


def prove_carried(connection: duckdb.DuckDBPyConnection, store: Path) -> None:
    """Proves every grant carried here; raises LeaseLostError for the first that does not hold."""
    for grant in carried(store):
        prove(connection, grant)


def prove(connection: duckdb.DuckDBPyConnection, grant: Grant) -> None:
    """Renews a grant inside a transaction, which then commits only if nobody else was granted the lease meanwhile:
    both touch the same row. Raises LeaseLostError where it ran out or is another's."""
    now = utc_now()
    kept = connection.execute(
        "update leases set renewed_at = ?, expires_at = ? where name = ? and token = ? and expires_at > ?",
        [now, now + timedelta(seconds=grant.seconds), grant.name, grant.token, now],
    ).fetchone()
    if kept is None or kept[0] != 1:
        raise LeaseLostError(_why_lost(connection, grant))


def next_token(connection: duckdb.DuckDBPyConnection) -> int:
    """A token larger than any before; of two transactions that draw one at the same time, one fails."""
    connection.execute("update lease_tokens set newest = newest + 1")
    row = connection.execute("select newest from lease_tokens").fetchone()
    return int(row[0]) if row else 0


def _why_lost(connection: duckdb.DuckDBPyConnection, grant: Grant) -> str:
    row = connection.execute("select token, actor, taken_at, expires_at from leases where name = ?", [grant.name])
    found = row.fetchone()
    said = "Nothing was written; run it again, what is done already will be found."
    if found is None:
        return f"The lease {grant.name!r} of this run was given back or taken over since. {said}"
    token, actor, taken_at, expires_at = found
    if token == grant.token:
        return f"The lease {grant.name!r} of this run ran out at {expires_at:%Y-%m-%d %H:%M:%S} UTC. {said}"
    return f"{actor} took over the lease {grant.name!r} of this run at {taken_at:%Y-%m-%d %H:%M:%S} UTC. {said}"
