"""What must hold of registry, audit trail and files after every step."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from quaestor.errors import QuaestorError
from quaestor.export.bundle import Bundle, open_bundle
from quaestor.export.contents import archive_bytes, read_contents
from quaestor.export.signature import Keys
from quaestor.registry import iteration as registry
from quaestor.registry.certificates import DECLARATION, episodes_path
from quaestor.store import Connection
from tests.simulation.scheduler import ViolationError
from tests.simulation.scripts import SYSTEM, refuse_unless

if TYPE_CHECKING:
    from tests.simulation.run import Run


def check_whole(path: Path, keys: Keys) -> None:
    """Invariant 6: what has its final name is whole."""
    if not path.exists() or path.name.startswith("."):
        return
    try:
        if path.suffix == ".parquet":
            pl.read_parquet(io.BytesIO(path.read_bytes()))
        elif path.suffix == ".f64":
            refuse_unless(hashlib.sha256(path.read_bytes()).hexdigest() == path.stem, "the digest differs")
        elif path.parent.name == "iterations":
            _check_iteration(path)
        elif path.suffix == ".zip":
            whole = archive_bytes(read_contents(path.with_suffix("")))
            refuse_unless(path.read_bytes() == whole, "6: the archive is not the folder's")
        elif path.parent.parent.name == "bundles":
            open_bundle(path, keys)
    except (QuaestorError, OSError, ValueError, KeyError, pl.exceptions.PolarsError) as error:
        raise ViolationError(f"6: {path.name} is not whole: {error}") from None


def _check_iteration(folder: Path) -> None:
    manifest = (folder / registry.MANIFEST).read_bytes()
    refuse_unless(hashlib.sha256(manifest).hexdigest() == folder.name, "6: the manifest is not the iteration's")
    for name, digest in json.loads(manifest)["files"].items():
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        refuse_unless(found == digest, f"6: {folder.name}/{name} is torn")


class Registry:
    """Follows iterations, moves and declarations as they are committed, and refuses what contradicts the past."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.iterations: list[str] = []
        self.history: list[str] = []
        self.promoted_at: dict[str, Any] = {}
        self._entry = 0
        self._looked: tuple[int, ...] = ()

    def look(self, connection: Connection) -> None:
        """Invariants 4, 5 and 7, after a commit."""
        counts = connection.execute(
            "select (select count(*) from audit), (select count(*) from iterations), (select count(*) from evidence), "
            "(select count(*) from live)"
        ).fetchone()
        if counts == self._looked:
            return
        self._looked = counts or ()
        for row in (
            connection.execute("select * from audit where entry > ? order by entry", [self._entry]).pl().to_dicts()
        ):
            self._entry = row["entry"]
            if row["action"] in ("promote", "rollback"):
                self._move(row)
        (numbered,) = connection.execute("select count(*) from audit where entry <= ?", [self._entry]).fetchone() or (
            0,
        )
        refuse_unless(numbered == self._looked[0], "7: an audit entry came in before one that was there")
        live = [name for (name,) in connection.execute("select iteration_id from live").fetchall()]
        refuse_unless(live == self.history[-1:], f"4: live are {live}, moved to was {self.history[-1:]}")
        listed = [
            name for (name,) in connection.execute("select iteration_id from iterations order by entry").fetchall()
        ]
        refuse_unless(listed[: len(self.iterations)] == self.iterations, "7: the order of iterations changed")
        self.iterations = listed
        self._check_attempts(connection)

    def _move(self, row: dict[str, Any]) -> None:
        live = self.history[-1] if self.history else None
        refuse_unless(
            row["previous_id"] == live, f"4: entry {row['entry']} replaces {row['previous_id']}, live was {live}"
        )
        seen = self.run.seen.pop(row["actor"], None)
        if seen is not None:
            refuse_unless(seen == self._last_move, f"4: {row['actor']} moved unaware of entry {self._last_move}")
        self._last_move = row["entry"]
        if row["action"] == "promote":
            self.history.append(row["iteration_id"])
            self.promoted_at.setdefault(row["iteration_id"], self.run.world.now)
        else:
            self.history.pop()
            refuse_unless(self.history[-1:] == [row["iteration_id"]], "4: rolled back to another than the one before")

    _last_move = 0

    def _check_attempts(self, connection: Connection) -> None:
        rows = connection.execute(
            "select iteration_id, (content->>'attempt')::integer from evidence where kind = ? order by entry",
            [DECLARATION],
        ).fetchall()
        attempts: dict[str, list[int]] = {}
        for iteration_id, attempt in rows:
            attempts.setdefault(iteration_id, []).append(attempt)
        for iteration_id, found in attempts.items():
            refuse_unless(found == list(range(1, len(found) + 1)), f"5: attempts {found} of {iteration_id[:12]}")

    def check_promoted(self, bundle: Bundle) -> None:
        """Invariant 1: the certificate in a bundle that serves was issued before its promotion and valid then."""
        certificate = json.loads(bundle.files["certificate.json"])
        promoted = self.promoted_at[bundle.iteration_id]
        if bundle.manifest["policy"] == "rule_of_thumb":
            return
        refuse_unless(certificate["expires_at"] > promoted.isoformat(), f"1: {bundle.path.name} had expired")
        refuse_unless(bundle.iteration_id in self.history, f"1: {bundle.iteration_id[:12]} was never promoted")

    def check_everything(self, connection: Connection) -> None:
        """Invariants 4 and 6 after a power loss: all that is on record is there and whole."""
        run = self.run
        for folder in (run.data / "iterations").glob("[!.]*"):
            check_whole(folder, run.keys)
        for path in (run.data / "bundles" / SYSTEM).glob("[!.]*"):
            check_whole(path, run.keys)
        for name in self.iterations:
            refuse_unless((run.data / "iterations" / name).exists(), f"6: iteration {name[:12]} is on record and gone")
        for (folder,) in connection.execute("select folder from bundles").fetchall():
            refuse_unless(Path(folder).exists(), f"6: bundle {Path(folder).name} is on record and gone")
        for (digest,) in connection.execute(
            "select content->>'costs_digest' from evidence where kind = 'certificate'"
        ).fetchall():
            path = episodes_path(run.data, digest)
            refuse_unless(path.exists(), "6: the episodes of a certificate are gone")
            check_whole(path, run.keys)
        for name in self.history[-2:]:
            found = connection.execute("select 1 from bundles where iteration_id = ?", [name]).fetchall()
            refuse_unless(bool(found), f"4: {name[:12]} could be rolled back to, and has no bundle")

    def everything(self, connection: Connection) -> dict[str, list[Any]]:
        """All rows but those of leases, to see whether anything changed."""
        tables = (
            "decisions",
            "outcomes",
            "quarantine",
            "iterations",
            "evidence",
            "verdicts",
            "bundles",
            "audit",
            "live",
        )
        return {table: connection.execute(f"select * from {table} order by all").fetchall() for table in tables}
