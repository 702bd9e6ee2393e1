"""The limits beyond which there is an alarm, and who is told: one TOML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from quaestor.study import parse, read_toml


@dataclass(frozen=True)
class Limits:
    """What is still well in one system; a limit that is absent is not watched.

    decisions_hours, outcomes_hours, demand_hours, orders_hours: the age of the newest record. quarantine_share: of the
    rows of a kind that arrived within the last `days`. defaulted_share: of the rounds closed in them that had no
    outcome in time. negative_rate: how far the failures among them may differ from the `reference_days` before, either
    way. feature_shift: the population stability index of each feature between the two windows (0.1 is a small, 0.25 a
    large shift); unseen_share: of rounds with a category that the reference never had. demand_shift: how far the
    demand of the last demand_periods may differ from that of the demand_reference before, as a share of it.
    error_rate: the chance of any false alarm about drift in a system at each look.
    """

    decisions_hours: float | None = None
    outcomes_hours: float | None = None
    demand_hours: float | None = None
    orders_hours: float | None = None
    quarantine_share: float | None = 0.01
    defaulted_share: float | None = None
    negative_rate: float | None = 0.05
    feature_shift: float | None = 0.25
    unseen_share: float | None = 0.05
    demand_shift: float | None = 0.25
    days: float = 7.0
    reference_days: float = 28.0
    demand_periods: int = 4
    demand_reference: int = 26
    error_rate: float = 1e-4

    def __post_init__(self) -> None:
        if min(self.days, self.reference_days) <= 0 or self.demand_periods < 1 or self.demand_reference < 4:
            raise ValueError("days and reference_days must be above 0, demand_periods 1, demand_reference 4 or more.")
        if not 0 < self.error_rate < 1:
            raise ValueError(f"error_rate must be between 0 and 1, found {self.error_rate}.")
        for name in ("quarantine_share", "defaulted_share", "negative_rate", "unseen_share"):
            limit = getattr(self, name)
            if limit is not None and not 0 <= limit <= 1:
                raise ValueError(f"{name} must be from 0 to 1, found {limit}.")


@dataclass(frozen=True)
class Runs:
    """late_minutes: how long after its time a scheduled run may start. silent: how many of its intervals a deployment
    may go without completing a run."""

    late_minutes: float = 15.0
    silent: float = 3.0

    def __post_init__(self) -> None:
        if self.late_minutes <= 0 or self.silent < 1:
            raise ValueError("late_minutes must be above 0 and silent 1 or more.")


@dataclass(frozen=True)
class Alerts:
    """to: addresses as apprise writes them, ${NAME} taken from the environment so that no secret lies in the file.
    all: the limits of every system; systems: those of the ones that have their own."""

    to: tuple[str, ...] = ()
    all: Limits = field(default_factory=Limits)
    systems: dict[str, Limits] = field(default_factory=dict)
    runs: Runs = field(default_factory=Runs)

    def limits(self, system: str) -> Limits:
        """The limits of a system."""
        return self.systems.get(system, self.all)


def read_alerts(path: Path) -> Alerts:
    """Reads the alerts' TOML file; raises UsageError for anything it does not name."""
    return parse(Alerts, read_toml(path), str(path))
