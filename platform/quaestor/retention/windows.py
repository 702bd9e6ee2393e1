"""How long each kind of record is kept: one TOML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from quaestor.study import parse, read_toml


@dataclass(frozen=True)
class Kept:
    """For how many days the records of a system are kept; what is absent is kept for ever.

    decisions_days: decisions, with their outcomes, and orders, by when they were taken. demand_days: demand, by the
    first day of its period. quarantine_days: refused rows, by when they came.
    """

    decisions_days: float | None = None
    demand_days: float | None = None
    quarantine_days: float | None = None

    def __post_init__(self) -> None:
        for name, days in (("decisions_days", self.decisions_days), ("demand_days", self.demand_days)):
            if days is not None and days <= 0:
                raise ValueError(f"{name} must be above 0, found {days}.")
        if self.quarantine_days is not None and self.quarantine_days < 0:
            raise ValueError(f"quarantine_days must be 0 or more, found {self.quarantine_days}.")


@dataclass(frozen=True)
class RetentionWindows:
    """all: what holds for every system without a table of its own. files_days: how long ingested files of the inbox
    are kept. hold: whether rows stay as long as an iteration needs them that is live, would be rolled back to, or
    waits for approval; where they do not, they go, and the run says what can no longer be verified."""

    all: Kept = field(default_factory=Kept)
    systems: dict[str, Kept] = field(default_factory=dict)
    files_days: float | None = None
    hold: bool = True

    def kept(self, system: str) -> Kept:
        """The windows of a system."""
        return self.systems.get(system, self.all)


def read_windows(path: Path) -> RetentionWindows:
    """Reads the retention windows' TOML file; raises UsageError for anything it does not name."""
    return parse(RetentionWindows, read_toml(path), str(path))
