"""The rounds of a system in windows, each parted once into those that teach and those that judge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from models.payments.alarms import by_iteration
from models.payments.pooling import pool
from quaestor.log.batch import MaturedBatch
from quaestor.log.held_out import held_out

LEAST = 2000
"""Rounds of a window, at least: with fewer the rounds of two iterations are one window."""


@dataclass(frozen=True)
class Window:
    """The rounds that one iteration decided: all of them, those that teach, and the held-out ones."""

    batch: MaturedBatch
    taught: MaturedBatch
    judged: MaturedBatch

    @property
    def begins_at(self) -> datetime | None:
        """The first decision, None where there is none."""
        first = self.batch.logged.decided_at.min()
        return first if isinstance(first, datetime) else None


def window(batch: MaturedBatch, share: float) -> Window:
    """Parts rounds; share: of them that is held out."""
    held = held_out(batch.logged, share)
    return Window(batch, batch.rows(~held), batch.rows(held))


def windows_of(batch: MaturedBatch, share: float) -> list[Window]:
    """A batch in windows, in time order: the rounds that one iteration decided, with enough rounds each."""
    parts: list[MaturedBatch] = []
    for part in by_iteration(batch):
        if parts and min(len(parts[-1]), len(part)) < LEAST:
            parts[-1] = pool([parts[-1], part])
        else:
            parts.append(part)
    return [window(part, share) for part in parts]
