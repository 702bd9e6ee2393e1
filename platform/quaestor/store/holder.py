"""Which process holds something, and whether it is certainly gone."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Holder:
    """A process: its machine (host, boot, process namespace), its number there, and when it started."""

    machine: str
    process: int
    started: str

    @staticmethod
    def me() -> Holder:
        """This process."""
        return Holder(_machine(), os.getpid(), _started(os.getpid()) or "")

    def is_gone(self) -> bool:
        """Whether it ran on this machine and runs no more; False where that cannot be told."""
        if not self.started or self.machine != _machine():
            return False
        return _started(self.process) != self.started


@cache
def _machine() -> str:
    boot, namespace = _PROC / "sys/kernel/random/boot_id", _PROC / "self/ns/pid"
    try:
        return f"{socket.gethostname()} {boot.read_text().strip()} {namespace.readlink()}"
    except OSError:  # no Linux: leases of other processes end when they run out
        return socket.gethostname()


def _started(process: int) -> str | None:
    """When a process started, in the kernel's ticks; None where it is gone, or dead and only not yet buried."""
    try:
        state, *fields = (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in ("Z", "X") else fields[18]
