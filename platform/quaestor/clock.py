"""The one place where the time of day is read, and where a simulation puts its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_SOURCE: ContextVar[Callable[[], datetime] | None] = ContextVar("clock", default=None)


def utc_now() -> datetime:
    """The current time in UTC, without a zone, as the store keeps it."""
    source = _SOURCE.get()
    return source() if source else datetime.now(UTC).replace(tzinfo=None)


@contextmanager
def told_by(source: Callable[[], datetime]) -> Iterator[None]:
    """Inside, the time is what `source` says: UTC without a zone."""
    reset = _SOURCE.set(source)
    try:
        yield
    finally:
        _SOURCE.reset(reset)
