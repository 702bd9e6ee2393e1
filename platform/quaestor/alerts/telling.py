"""Who has been told what: an alarm is told once when it rises and once when it is over, and nothing else is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from quaestor.alerts.alarm import Alarm

CALM = timedelta(hours=1)
"""An alarm that comes back sooner than this was never over."""


@dataclass(frozen=True)
class Known:
    """An alarm as it was kept: since when, when it was last seen, and as what it was told; None where it was not."""

    alarm: Alarm
    first_at: datetime
    seen_at: datetime
    told: str | None = None


@dataclass(frozen=True)
class News:
    """What is kept from now on, what is new to those who are told, and what is over."""

    kept: tuple[Known, ...]
    risen: tuple[Known, ...]
    over: tuple[Known, ...]

    def message(self) -> tuple[str, str] | None:
        """Title and body of what there is to tell; None when there is nothing."""
        if not self.risen and not self.over:
            return None
        counts = [f"{len(part)} {word}" for part, word in ((self.risen, "new"), (self.over, "over")) if part]
        lines = [f"[{known.alarm.status}] {known.alarm.sentence}" for known in self.risen]
        lines += [f"[over] since {known.first_at:%Y-%m-%d %H:%M} UTC: {known.alarm.sentence}" for known in self.over]
        return f"Quaestor: {', '.join(counts)}", "\n".join(lines)

    def pending(self) -> tuple[Known, ...]:
        """What is kept until those who are to be told have been."""
        return (*self.kept, *self.over)

    def told(self) -> tuple[Known, ...]:
        """What is kept once those who are to be told have been."""
        risen = {known.alarm.key for known in self.risen}
        return tuple(
            replace(known, told=known.alarm.status) if known.alarm.key in risen else known for known in self.kept
        )


def news(known: Sequence[Known], found: Sequence[Alarm], now: datetime) -> News:
    """Compares the alarms found now with those that stood.

    New is one that was never told, and one that was told as `watch` and is `stop` now. Over is one that was told
    and has not been seen for CALM; one that nobody was told of ends without a word.
    """
    before = {each.alarm.key: each for each in known}
    standing = []
    for alarm in {alarm.key: alarm for alarm in found}.values():
        former = before.pop(alarm.key, None)
        standing.append(Known(alarm, now, now) if former is None else Known(alarm, former.first_at, now, former.told))
    gone = [each for each in before.values() if now - each.seen_at >= CALM]
    resting = [each for each in before.values() if now - each.seen_at < CALM]
    risen = tuple(
        each for each in standing if each.told is None or (each.told == "watch" and each.alarm.status == "stop")
    )
    over = tuple(each for each in gone if each.told is not None)
    return News((*standing, *resting), risen, over)
