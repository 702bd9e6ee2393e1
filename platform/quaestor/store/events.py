"""Decisions, outcomes, demand and orders on their way into their tables, part by part.

All of it happens in the caller's transaction; memory does not grow with the file.
"""

from __future__ import annotations

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.store import forgetting, quarantine
from quaestor.store.append import DECISIONS, DEMAND, ORDERS, OUTCOMES, Table, append, insertion
from quaestor.store.eligible_sets import eligible_ids, with_actions
from quaestor.store.intake import (
    COMPARING,
    NO_ROWS,
    Entered,
    Intake,
    conflicts,
    listed,
    prepare,
    refuse,
    register_schema,
    run,
    stage,
)
from quaestor.store.known_keys import KnownKeys

__all__ = ["NO_ROWS", "DecisionIntake", "DemandIntake", "Entered", "Intake", "OrderIntake", "OutcomeIntake"]


DOUBTED = 100_000
"""Rows that may be known already are compared so many at a time."""


class DecisionIntake:
    """Rows that are surely new enter at once; those whose key may be known, or comes twice, are compared later."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, file_digest: str) -> None:
        self._connection, self._digest = connection, file_digest
        self._known: KnownKeys | None = None
        self._parts = self._waiting = self._added = self._duplicate = 0
        self._conflicts: list[pl.DataFrame] = []
        self._forgotten = forgetting.known(connection)
        self._forgotten_rows: list[pl.DataFrame] = []
        prepare(connection)
        stage(connection, DECISIONS, "staged_decisions")

    def add(self, rows: pl.DataFrame) -> None:
        """Takes some checked decisions, features as columns numeric_… and category_…; eligible_set is the same number
        for equal lists of eligible actions."""
        rows = self._remembered(rows)
        if rows.is_empty():
            return
        hashes = self._key_hashes(rows)
        rows = rows.with_columns(key_hash=hashes, eligible_id=eligible_ids(self._connection, rows))
        doubted = self._doubted(hashes)
        if doubted.any():
            self._stage_doubted(rows.filter(doubted))
            rows = rows.filter(~doubted)
        run(self._connection, insertion(DECISIONS, self._query(rows)), rows, self._digest)
        self._added += len(rows)
        if self._waiting >= DOUBTED:
            self._compare()

    def finish(self) -> Entered:
        """Compares what is left; then the quarantined outcomes enter that were waiting for these decisions."""
        self._connection.execute(f"set memory_limit = '{COMPARING}'")
        self._compare()
        released = _release_waiting_outcomes(self._connection, self._digest)
        refused = [conflicts(rows, "decision") for rows in self._conflicts] + self._forgotten_rows
        return Entered(self._added, self._duplicate, pl.concat([NO_ROWS, *refused]), released)

    def _remembered(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Without those about a subject that was forgotten since; of them nothing but their number is kept."""
        kept = forgetting.without(rows, self._forgotten)
        gone = rows.join(kept, on="row_number", how="anti") if len(kept) < len(rows) else rows.head(0)
        said = "what was decided about this subject before it was forgotten is not taken again"
        if len(gone):
            self._forgotten_rows.append(refuse(gone.select("row_number", "system"), "forgotten", said))
        return kept

    def _key_hashes(self, rows: pl.DataFrame) -> NDArray[np.uint64]:
        """The hash of each row's key, (row,), as the store keeps it."""
        keys = rows.select(*DECISIONS.hashed, place=pl.int_range(pl.len()))
        hashed = run(self._connection, f"select place, {DECISIONS.key_hash} as key_hash from arriving", keys)
        columns = hashed.fetchnumpy()
        hashes: NDArray[np.uint64] = np.empty(len(rows), dtype=np.uint64)
        hashes[columns["place"]] = columns["key_hash"]  # they come in the order of no thread
        return hashes

    def _doubted(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which rows may be in the store or come twice here, (row,)."""
        order = np.argsort(hashes)
        rising = hashes[order]  # what lies in order is looked up and added in order of place
        if self._parts == 0:  # most files are one part, which is looked up faster than a filter is made
            keys = pl.DataFrame({"key_hash": rising})
            sought = "select key_hash from decisions where key_hash in (select key_hash from arriving)"
            suspect = np.isin(rising, run(self._connection, sought, keys).fetchnumpy()["key_hash"])
        else:
            if self._known is None:
                self._known = KnownKeys(self._connection, "decisions")
                # A long file is written once: filling up the last row group would move all of it again.
                self._connection.execute("set max_vacuum_tasks = 0")
            suspect = self._known.may_hold(rising)
            self._known.add(rising)
        self._parts += 1
        same = np.flatnonzero(rising[1:] == rising[:-1])
        suspect[same] = suspect[same + 1] = True
        doubted = np.empty_like(suspect)
        doubted[order] = suspect
        return doubted

    def _stage_doubted(self, rows: pl.DataFrame) -> None:
        run(self._connection, f"insert into staged_decisions by name {self._query(rows)}", rows)
        self._waiting += len(rows)

    def _compare(self) -> None:
        if self._waiting:
            appended = append(self._connection, DECISIONS, "staged_decisions", self._digest)
            self._connection.execute("delete from staged_decisions")
            self._added += appended.added
            self._duplicate += appended.duplicate
            self._conflicts.append(with_actions(self._connection, appended.conflicting))
            self._waiting = 0

    def _query(self, rows: pl.DataFrame) -> str:
        """The arriving rows as the store has them."""
        numeric = [name for name in rows.columns if name.startswith("numeric_")]
        category = [name for name in rows.columns if name.startswith("category_")]
        schema_id = register_schema(self._connection, numeric, category)
        return f"""
            select row_number, system, event_id, decided_at, iteration_id, '{schema_id}' as schema_id,
                {listed(numeric, "double")} as numeric_features, {listed(category, "varchar")} as category_features,
                eligible_id, propensities, action, propensity, coalesce(fallback, false) as fallback, subject, key_hash
            from arriving
        """


class OutcomeIntake:
    """Rows are staged until the file ends, and meet their decisions in one pass; those of unknown decisions, or
    observed before their decision, are refused."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, file_digest: str, staged: str = "staged_outcomes"
    ) -> None:
        self._connection, self._digest, self._staged = connection, file_digest, staged
        prepare(connection)
        stage(connection, OUTCOMES, staged)

    def add(self, rows: pl.DataFrame) -> None:
        """Takes some checked outcomes."""
        run(
            self._connection,
            f"insert into {self._staged} by name select row_number, system, event_id, observed_at, reward, "
            f"coalesce(revision, 0) as revision, {OUTCOMES.key_hash} as key_hash from arriving",
            rows,
        )

    def finish(self) -> Entered:
        """Lets those enter whose decision is known."""
        self._connection.execute(f"set memory_limit = '{COMPARING}'")
        self._connection.execute(f"""
            create or replace temp table places as
                select rowid as place from decisions where key_hash in (select key_hash from {self._staged});
            create or replace temp table decided as
                select system, event_id, decided_at from decisions where rowid in (select place from places);
            create or replace temp table met as
                select o.* replace (d.decided_at as decided_at), d.event_id is null as unknown,
                    coalesce(o.observed_at < d.decided_at, false) as early
                from {self._staged} o left join decided d using (system, event_id);
            create or replace temp table timely as
                select * from met where not unknown and not early order by row_number;
        """)
        unknown, early = (
            self._connection.execute(
                f"select * exclude (decided_at, unknown, early, key_hash) from met where {reason} order by row_number"
            ).pl()
            for reason in ("unknown", "early")
        )
        appended = append(self._connection, OUTCOMES, "timely", self._digest)
        self._connection.execute("drop table places; drop table decided; drop table met; drop table timely")
        self._connection.execute(f"drop table {self._staged}")
        refused = [
            refuse(unknown, quarantine.UNKNOWN_DECISION, "no decision has this event_id; the outcome waits for it"),
            refuse(early, "early", "the outcome was observed before its decision; check the clocks"),
            conflicts(appended.conflicting, "outcome"),
        ]
        return Entered(appended.added, appended.duplicate, pl.concat(refused))


class _PlainIntake:
    """Rows are staged until the file ends and enter in one pass."""

    table: Table
    called: str

    def __init__(self, connection: duckdb.DuckDBPyConnection, file_digest: str) -> None:
        self._connection, self._digest = connection, file_digest
        prepare(connection)
        stage(connection, self.table, f"staged_{self.table.name}")

    def add(self, rows: pl.DataFrame) -> None:
        """Takes some checked rows."""
        staged, key_hash = f"staged_{self.table.name}", self.table.key_hash
        run(self._connection, f"insert into {staged} by name select *, {key_hash} as key_hash from arriving", rows)

    def finish(self) -> Entered:
        """Lets those enter that are new."""
        self._connection.execute(f"set memory_limit = '{COMPARING}'")
        appended = append(self._connection, self.table, f"staged_{self.table.name}", self._digest)
        return Entered(appended.added, appended.duplicate, conflicts(appended.conflicting, self.called))


class DemandIntake(_PlainIntake):
    """Demand of a product at a store in a period."""

    table, called = DEMAND, "demand record"


class OrderIntake(_PlainIntake):
    """What a policy ordered of a product in a period."""

    table, called = ORDERS, "record of orders"


def _release_waiting_outcomes(connection: duckdb.DuckDBPyConnection, file_digest: str) -> int:
    waiting = quarantine.outcomes_whose_decision_arrived(connection, file_digest)
    if waiting.is_empty():
        return 0
    intake = OutcomeIntake(connection, file_digest, "waiting_outcomes")
    intake.add(waiting.drop("row_digest"))
    entered = intake.finish()
    quarantine.add(connection, "outcomes", entered.refused, file_digest)
    quarantine.release(connection, waiting["row_digest"])
    return entered.added
