"""What every intake of rows does: staging them, showing them to DuckDB, and turning some away with a reason."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Protocol

import duckdb
import polars as pl
import pyarrow as pa

from quaestor.store.append import Table

MEMORY = "96MB"
"""What DuckDB may hold while rows enter; what is staged beyond it goes to a temporary folder."""
COMPARING = "320MB"
"""What it may hold once the file has been read."""
ROW_GROUP = 122_880
"""Rows that DuckDB writes as one; handed over in such batches, they are written as they come, by every thread."""

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


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Sets a connection up for rows that enter."""
    connection.execute(f"set memory_limit = '{MEMORY}'")
    connection.execute("set preserve_insertion_order = false")  # every reader orders rows itself
    connection.execute("set write_buffer_row_group_count = 1")  # row groups are written as they fill


def stage(connection: duckdb.DuckDBPyConnection, table: Table, name: str) -> None:
    """An empty temporary table for rows of a table that are still to be compared."""
    connection.execute(
        f"create or replace temp table {name} as "
        f"select 0::bigint as row_number, {table.columns} from {table.name} limit 0"
    )


def run(
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


def listed(columns: list[str], dtype: str) -> str:
    """Columns as one list a row; NaN is null."""
    values = [quoted(name) if dtype == "varchar" else f"nullif({quoted(name)}, 'nan'::double)" for name in columns]
    return f"[{', '.join(values)}]::{dtype}[]"


def quoted(name: str) -> str:
    """A column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def register_schema(connection: duckdb.DuckDBPyConnection, numeric: list[str], category: list[str]) -> str:
    """Keeps the names of features and returns their id."""
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


def conflicts(rows: pl.DataFrame, what: str) -> pl.DataFrame:
    """Rows that contradict others of their key, as quarantine takes them."""
    return refuse(
        rows,
        "conflict",
        f"another {what} of the same id says otherwise; neither overwrites the other",
    )


def refuse(rows: pl.DataFrame, code: str, reason: str) -> pl.DataFrame:
    """Rows as quarantine takes them: row_number, system, code, reason, content."""
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
