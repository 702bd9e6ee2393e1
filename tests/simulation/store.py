"""A store for one simulated run: one database in memory's speed, whose transactions are steps that can be cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb

from quaestor.errors import QuaestorError, StoreBusyError
from quaestor.store import Connection, fencing
from tests.simulation.scheduler import ViolationError, World, current


class SimulatedStore:
    """Stands where `quaestor.store.Store` does: a write is one transaction under the leases that are carried.

    The simulation knows apart from the tables which token of each lease is the newest, and until when it holds.
    """

    def __init__(self, world: World, file: Path) -> None:
        self.world, self.path, self.patience = world, Path("/simulated/store"), 0.0
        self.db = duckdb.connect(str(file), config={"threads": 1})
        self.db.execute("pragma disable_optimizer")  # planning costs more than these few rows do: a third of a seed
        self.newest: dict[str, int] = {}
        self.committed: Callable[[Connection], None] = lambda _: None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, which may never begin, be cut off before it commits, or die just after."""
        worker = current()
        if worker is not None:
            worker.step("store: begin")
            if not self.world.healed and self.world.chance(self.world.faults.busy):
                raise StoreBusyError("Another writer has held the store.")
        self.db.begin()
        try:
            fencing.prove_carried(self.db, self.path)
            yield self.db
            if worker is not None:
                self._before_commit(worker.now())
            self.db.commit()
        except BaseException:
            self.db.rollback()
            raise
        if worker is not None:
            self.committed(self.db)
            worker.step("store: committed")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """The committed state."""
        worker = current()
        if worker is not None:
            worker.step("store: read")
        yield self.db

    def _before_commit(self, now: datetime) -> None:
        worker = current()
        assert worker is not None
        if self.world.now < self.world.full_until and self.world.chance(0.5):
            raise QuaestorError("The store cannot be written: No space left on device.")
        for grant in fencing.carried(self.path):
            if grant.token != self.newest.get(grant.name):
                raise ViolationError(
                    f"5: {worker.name} writes under {grant.name!r} with token {grant.token}, although "
                    f"{self.newest.get(grant.name)} was granted since"
                )
