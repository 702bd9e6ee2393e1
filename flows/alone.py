"""One run at a time: a flow takes the lease for what it writes, and says what it found left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flows.tasks import say
from quaestor.settings import Settings
from quaestor.store import lease
from quaestor.store.fencing import Grant


@contextmanager
def alone(name: str) -> Iterator[Grant]:
    """Holds a lease of the configured store inside; every write inside is refused once it is lost.

    Raises LeaseHeldError, with who and since when, where another run holds it.
    """
    settings = Settings()
    with lease.held(settings.store, name, settings.actor) as grant:
        if grant.took_over:
            say(f"{name}: picked up from an earlier run: {grant.took_over}")
        yield grant


def policies_of(system: str) -> str:
    """The lease of whoever trains, evaluates or certifies iterations of a system."""
    return f"policies of {system}"
