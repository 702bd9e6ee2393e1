"""Decisions, outcomes and demand on their way into their tables, part by part.

All of it happens in the caller's transaction; memory does not grow with the file.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Protocol

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from quaestor.store import quarantine
from quaestor.store.append import DECISIONS, DEMAND, OUTCOMES, Table, append, ensure_key_hashes, insertion
from quaestor.store.known_keys import KnownKeys

MEMORY = "128MB"
"""What DuckDB may hold while rows enter; what is staged beyond it goes to a temporary folder."""
COMPARING = "512MB"
"""What it may hold once the file has been read."""
ROW_GROUP = 122_880
"""Rows that DuckDB writes as one; handed over in such batches, they are written as they come, by every thread."""
DOUBTED = 100_000
"""Rows that may be known already are compared so many at a time."""

NO_ROWS = pl.DataFrame(
    schema={
        "row_number": pl.Int64,
        "system": pl.String,
        "code": pl.String,
        "reason": pl.String,
        "content": pl.String,
    }
)


@dataclass(frozen=True)
class Entered:
    """What became of good rows: added, already there, refused (with row_number, system, code, reason, content),
    and outcomes released from quarantine because their decision has now arrived."""

    added: int
    duplicate: int
    refused: pl.DataFrame
    released: int = 0


class Intake(Protocol):
    """Takes the good rows of a file part by part; what became of them is known at the end."""

    def add(self, rows: pl.DataFrame) -> None:
        """Takes some checked rows with their row_number."""

    def finish(self) -> Entered:
        """Settles what was put off, and tells what became of all rows."""


class DecisionIntake:
    """Rows that are surely new enter at once; those whose key may be known, or comes twice, are compared later."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, file_digest: str) -> None:
        self._connection, self._digest = connection, file_digest
        self._known: KnownKeys | None = None
        self._parts = self._waiting = self._added = self._duplicate = 0
        self._conflicts: list[pl.DataFrame] = []
        _prepare(connection)
        _stage(connection, DECISIONS, "staged_decisions")

    def add(self, rows: pl.DataFrame) -> None:
        """Takes some checked decisions, features as columns numeric_… and category_…."""
        if rows.is_empty():
            return
        doubted = self._doubted(rows)
        if doubted.any():
            self._stage_doubted(rows.filter(doubted))
            rows = rows.filter(~doubted)
        _run(self._connection, insertion(DECISIONS, self._query(rows)), rows, self._digest)
        self._added += len(rows)
        if self._waiting >= DOUBTED:
            self._compare()

    def finish(self) -> Entered:
        """Compares what is left; then the quarantined outcomes enter that were waiting for these decisions."""
        self._connection.execute(f"set memory_limit = '{COMPARING}'")
        self._compare()
        released = _release_waiting_outcomes(self._connection, self._digest)
        conflicts = [_conflicts(rows, "decision") for rows in self._conflicts]
        return Entered(self._added, self._duplicate, pl.concat([NO_ROWS, *conflicts]), released)

    def _doubted(self, rows: pl.DataFrame) -> NDArray[np.bool_]:
        """Which rows may be in the store or come twice here, (row,)."""
        keys = rows.select("row_number", *DECISIONS.hashed)
        hashed = _run(self._connection, f"select row_number, {DECISIONS.key_hash} as key_hash from arriving", keys)
        columns = hashed.fetchnumpy()
        hashes = columns["key_hash"][np.argsort(columns["row_number"])]  # they come in the order of no thread
        if self._parts == 0:  # most files are one part, which is looked up faster than a filter is made
            sought = f"select key_hash from decisions where key_hash in (select {DECISIONS.key_hash} from arriving)"
            found = _run(self._connection, sought, keys)
            doubted = np.isin(hashes, found.fetchnumpy()["key_hash"])
        else:
            self._known = self._known or KnownKeys(self._connection, "decisions")
            doubted = self._known.may_hold(hashes)
            self._known.add(hashes)
        self._parts += 1
        order = np.argsort(hashes)
        same = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
        doubted[order[same]] = doubted[order[same + 1]] = True
        return doubted

    def _stage_doubted(self, rows: pl.DataFrame) -> None:
        _run(self._connection, f"insert into staged_decisions by name {self._query(rows)}", rows)
        self._waiting += len(rows)

    def _compare(self) -> None:
        if self._waiting:
            appended = append(self._connection, DECISIONS, "staged_decisions", self._digest)
            self._connection.execute("delete from staged_decisions")
            self._added += appended.added
            self._duplicate += appended.duplicate
            self._conflicts.append(appended.conflicting)
            self._waiting = 0

    def _query(self, rows: pl.DataFrame) -> str:
        """The arriving rows as the store has them."""
        numeric = [name for name in rows.columns if name.startswith("numeric_")]
        category = [name for name in rows.columns if name.startswith("category_")]
        schema_id = _register_schema(self._connection, numeric, category)
        return f"""
            select row_number, system, event_id, decided_at, iteration_id, '{schema_id}' as schema_id,
                {_listed(numeric, "double")} as numeric_features, {_listed(category, "varchar")} as category_features,
                eligible, propensities, action, propensity, coalesce(fallback, false) as fallback,
                {DECISIONS.key_hash} as key_hash
            from arriving
        """


class OutcomeIntake:
    """Rows are staged until the file ends, and meet their decisions in one pass; those of unknown decisions, or
    observed before their decision, are refused."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, file_digest: str, staged: str = "staged_outcomes"
    ) -> None:
        self._connection, self._digest, self._staged = connection, file_digest, staged
        _prepare(connection)
        _stage(connection, OUTCOMES, staged)

    def add(self, rows: pl.DataFrame) -> None:
        """Takes some checked outcomes."""
        _run(
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
            _refuse(unknown, quarantine.UNKNOWN_DECISION, "no decision has this event_id; the outcome waits for it"),
            _refuse(early, "early", "the outcome was observed before its decision; check the clocks"),
            _conflicts(appended.conflicting, "outcome"),
        ]
        return Entered(appended.added, appended.duplicate, pl.concat(refused))


class DemandIntake:
    """Rows are staged until the file ends and enter in one pass."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, file_digest: str) -> None:
        self._connection, self._digest = connection, file_digest
        _prepare(connection)
        _stage(connection, DEMAND, "staged_demand")

    def add(self, rows: pl.DataFrame) -> None:
        """Takes some checked demand records."""
        staging = f"insert into staged_demand by name select *, {DEMAND.key_hash} as key_hash from arriving"
        _run(self._connection, staging, rows)

    def finish(self) -> Entered:
        """Lets those enter that are new."""
        self._connection.execute(f"set memory_limit = '{COMPARING}'")
        appended = append(self._connection, DEMAND, "staged_demand", self._digest)
        return Entered(appended.added, appended.duplicate, _conflicts(appended.conflicting, "demand record"))


def _prepare(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"set memory_limit = '{MEMORY}'")
    connection.execute("set preserve_insertion_order = false")  # every reader orders rows itself
    ensure_key_hashes(connection)


def _stage(connection: duckdb.DuckDBPyConnection, table: Table, name: str) -> None:
    """An empty temporary table for rows of a table that are still to be compared."""
    connection.execute(
        f"create or replace temp table {name} as "
        f"select 0::bigint as row_number, {table.columns} from {table.name} limit 0"
    )


def _run(
    connection: duckdb.DuckDBPyConnection, query: str, rows: pl.DataFrame, *values: str
) -> duckdb.DuckDBPyConnection:
    """Runs a query that reads the rows as `arriving`, with times as the store keeps them: UTC, without a zone.

    DuckDB finds them by that name here; a registered view would hold them until the transaction ends.
    """
    zoned = [name for name, dtype in rows.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone]
    naive = rows.with_columns(pl.col(zoned).dt.replace_time_zone(None))
    table = naive.to_arrow(compat_level=pl.CompatLevel.newest())  # text is handed over without being copied
    arriving = pa.Table.from_batches(table.to_batches(ROW_GROUP), table.schema)  # noqa: F841
    return connection.execute(query, list(values))


def _listed(columns: list[str], dtype: str) -> str:
    """Columns as one list a row; NaN is null."""
    values = [quoted(name) if dtype == "varchar" else f"nullif({quoted(name)}, 'nan'::double)" for name in columns]
    return f"[{', '.join(values)}]::{dtype}[]"


def quoted(name: str) -> str:
    """A column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


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


def _register_schema(connection: duckdb.DuckDBPyConnection, numeric: list[str], category: list[str]) -> str:
    names = [
        [name.removeprefix("numeric_") for name in numeric],
        [name.removeprefix("category_") for name in category],
    ]
    schema_id = hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]
    connection.execute(
        "insert into context_schemas select ?, ?::varchar[], ?::varchar[] "
        "where not exists (from context_schemas where schema_id = ?)",
        [schema_id, *names, schema_id],
    )
    return schema_id


def _conflicts(rows: pl.DataFrame, what: str) -> pl.DataFrame:
    return _refuse(
        rows,
        "conflict",
        f"another {what} of the same id says otherwise; neither overwrites the other",
    )


def _refuse(rows: pl.DataFrame, code: str, reason: str) -> pl.DataFrame:
    if rows.is_empty():
        return NO_ROWS
    content = pl.struct(pl.exclude("row_number")).struct.json_encode()
    return rows.select(
        pl.col("row_number").cast(pl.Int64),
        "system",
        pl.lit(code).alias("code"),
        pl.lit(reason + ".").alias("reason"),
        content.alias("content"),
    )
