"""The one place where the time of day is read."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The current time in UTC, without a zone, as the store keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)
