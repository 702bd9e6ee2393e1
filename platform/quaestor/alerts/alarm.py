"""An alarm: what a person should look at, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Subject: TypeAlias = Literal[
    "freshness",
    "quarantine",
    "refused files",
    "missing outcomes",
    "negative rate",
    "features",
    "demand",
    "generation",
    "gate",
    "canary",
    "certificate",
    "failed run",
    "late run",
]


@dataclass(frozen=True)
class Alarm:
    """subject and about, such as a system, a feature or a deployment, name the alarm: while both stay the same it is
    the same alarm, and is told once, however its figures move. status: stop where nothing should go live meanwhile."""

    subject: Subject
    system: str
    about: str
    status: Literal["watch", "stop"]
    sentence: str

    @property
    def key(self) -> str:
        """What tells this alarm from others."""
        return "\x1f".join((self.subject, self.system, self.about))
