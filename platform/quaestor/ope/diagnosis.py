"""What a check of a log comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Diagnosis:
    """One check by name, how it stands, and why. stop: no estimate from this log may decide; watch: it may, but
    somebody should look."""

    name: str
    status: Literal["ok", "watch", "stop"]
    sentence: str
