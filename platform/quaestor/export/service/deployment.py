"""The bundle that is live in a service, and how another takes its place without a dropped request."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from quaestor.atomic import write_file
from quaestor.clock import utc_now
from quaestor.errors import QuaestorError
from quaestor.export.bundle import GOLDEN, Bundle
from quaestor.export.runtime import Runtime, load
from quaestor.export.signature import Keys
from quaestor.export.single import SingleDecisions
from quaestor.export.strict_json import StrictJsonError, strict_json

ACCEPTED, AUDIT = "accepted.json", "audit.jsonl"
SLOWEST_SECONDS = 0.005
"""A decision of a new bundle may take this long (median over its golden rows) before it is refused as too slow."""


@dataclass(frozen=True)
class Live:
    """What decides now: the runtime, its fast path, the features that callers may send, and its actions."""

    runtime: Runtime
    single: SingleDecisions
    fields: frozenset[str]
    actions: frozenset[str]

    @property
    def bundle(self) -> Bundle:
        """The bundle behind it."""
        return self.runtime.bundle


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
        folder.mkdir(parents=True, exist_ok=True)
        self._seen = self._print()
        runtime = load(path, keys, self._floor(), quiet=True)
        self.live = self._checked(runtime, None)
        self._accept(runtime.bundle, "start", "")

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
                live = self._checked(runtime, self.live)
            except QuaestorError as error:
                self.swaps["refused"] += 1
                self.refusal = str(error)
                self._audit("refuse", by, str(error))
                raise
            self._accept(
                runtime.bundle, f"rollback by {by}" if rollback_reason else f"swap by {by}", rollback_reason or ""
            )
            self.live = live  # one assignment: every request sees the old one or the new one
            self.swaps["taken"] += 1
            self.refusal = None
            return True

    def _checked(self, runtime: Runtime, before: Live | None) -> Live:
        bundle = runtime.bundle
        row = {"event_id": "warm-up"}
        single = runtime.single
        spec = bundle.policy.spec
        assert spec.kind == "payments"
        fields = frozenset(
            [f"numeric_{f.name}" for f in spec.features.numeric]
            + [f"category_{f.name}" for f in spec.features.category]
        )
        if before is not None:
            if bundle.system != before.bundle.system:
                raise QuaestorError(
                    f"{bundle.path} is of system {bundle.system!r}; {before.bundle.system!r} is served here."
                )
            if not fields <= before.fields:
                missing = ", ".join(sorted(fields - before.fields))
                raise QuaestorError(
                    f"{bundle.path} reads {missing}, which callers do not send yet; restart the service with it then."
                )
            if spec.actions != before.bundle.policy.spec.actions:  # type: ignore[union-attr]
                raise QuaestorError(
                    f"{bundle.path} has other actions than the live bundle; restart the service with it."
                )
        rows = json.loads(bundle.files[GOLDEN])["rows"] or [row]
        taken = []
        for golden in (rows * 50)[:100]:
            start = time.perf_counter()
            single.decide(golden)
            taken.append(time.perf_counter() - start)
        median = sorted(taken)[len(taken) // 2]
        if median > SLOWEST_SECONDS:
            raise QuaestorError(
                f"{bundle.path} takes {median * 1e3:.1f} ms for a decision; {SLOWEST_SECONDS * 1e3:g} ms are allowed."
            )
        accepted = fields | self._also_log | (before.fields if before else frozenset())
        return Live(runtime, single, accepted, frozenset(spec.actions))

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
