"""The bundle that is live in a service, and how another takes its place without a dropped request."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from pathlib import Path

from quaestor.atomic import write_file
from quaestor.clock import utc_now
from quaestor.errors import QuaestorError
from quaestor.export.bundle import Bundle
from quaestor.export.runtime import load
from quaestor.export.service.takeover import take_over
from quaestor.export.signature import Keys
from quaestor.export.strict_json import StrictJsonError, strict_json

ACCEPTED, AUDIT = "accepted.json", "audit.jsonl"


class Deployment:
    """Holds the live bundle of a path, which may be a link; `reload` looks at it again.

    The newest serial number that ever was live here is kept in `folder`, with an audit trail; an older bundle is
    refused unless a reason for going back is given.
    """

    def __init__(self, path: Path, folder: Path, keys: Keys | None, also_log: frozenset[str] = frozenset()) -> None:
        self.path, self._folder, self._keys = path, folder, keys
        self._also_log = also_log
        self._lock = threading.Lock()
        self.swaps = {"taken": 0, "refused": 0}
        self.refusal: str | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise QuaestorError(f"{folder} cannot be written: {error.strerror}.") from None
        self._seen = self._print()
        runtime = load(path, keys, self._floor(), quiet=True)
        self.live = take_over(runtime, None, self._also_log)
        try:
            self._accept(runtime.bundle, "start", "")
        except OSError as error:
            raise QuaestorError(f"{folder} cannot be written: {error.strerror}.") from None

    def changed(self) -> bool:
        """Whether something else lies at the path than at the last look."""
        return self._print() != self._seen

    def reload(self, by: str, rollback_reason: str | None = None) -> bool:
        """Puts what lies at the path now in place; False where it is live already.

        Raises QuaestorError where it is refused; the old bundle then stays live.
        """
        with self._lock:
            self._seen = self._print()
            try:
                runtime = load(self.path, self._keys, None if rollback_reason else self._floor(), quiet=True)
                if runtime.bundle.digest == self.live.bundle.digest:
                    self.refusal = None
                    return False
                live = take_over(runtime, self.live, self._also_log)
                action = f"rollback by {by}" if rollback_reason else f"swap by {by}"
                self._accept(runtime.bundle, action, rollback_reason or "")
            except (QuaestorError, OSError) as error:
                self.swaps["refused"] += 1
                full = isinstance(error, OSError)
                if full:
                    self._seen = None  # to be looked at again: the disk may take it then
                self.refusal = f"{self._folder} cannot be written: {error}." if full else str(error)
                with suppress(OSError):  # a disk that takes no audit line is no reason to stop deciding
                    self._audit("refuse", by, self.refusal)
                raise QuaestorError(self.refusal) from None
            self.live = live  # one assignment: every request sees the old one or the new one
            self.swaps["taken"] += 1
            self.refusal = None
            return True

    def _floor(self) -> int | None:
        """The serial number below which nothing may be loaded; None at first."""
        path = self._folder / ACCEPTED
        if not path.exists():
            return None
        try:
            return int(strict_json(path.read_bytes())["serial"])
        except (StrictJsonError, KeyError, TypeError, ValueError):
            raise QuaestorError(f"{path} is damaged; restore it, or remove it to accept any bundle once.") from None

    def _accept(self, bundle: Bundle, action: str, reason: str) -> None:
        write_file(self._folder / ACCEPTED, json.dumps({"system": bundle.system, "serial": bundle.serial}).encode())
        self._audit(action, bundle.iteration_id, f"serial {bundle.serial}; {bundle.trust()} {reason}".strip())

    def _audit(self, action: str, subject: str, reason: str) -> None:
        line = {"at": f"{utc_now().isoformat()}Z", "action": action, "subject": subject, "reason": reason}
        descriptor = os.open(self._folder / AUDIT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _print(self) -> tuple[str, int, int] | None:
        """What tells one bundle at the path from another without reading it."""
        try:
            target = self.path.resolve()
            stat = target.stat()
        except OSError:
            return None
        return str(target), stat.st_mtime_ns, stat.st_ino
