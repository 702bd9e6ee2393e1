"""Appends staged rows to a table that has no key: new ones enter, equal ones are counted, others are parted."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import polars as pl


@dataclass(frozen=True)
class Table:
    """An append-only table: the columns that identify a row, and those that must agree when it comes again."""

    name: str
    key: tuple[str, ...]
    content: tuple[str, ...]


@dataclass(frozen=True)
class Appended:
    """How many rows entered, how many were there already, and the rows that contradict another of their key."""

    added: int
    duplicate: int
    conflicting: pl.DataFrame


DECISIONS = Table(
    "decisions",
    ("system", "event_id"),
    (
        "decided_at", "iteration_id", "schema_id", "numeric_features", "category_features",
        "eligible", "propensities", "action", "propensity", "fallback",
    ),
)  # fmt: skip
OUTCOMES = Table("outcomes", ("system", "event_id", "revision"), ("observed_at", "reward"))
DEMAND = Table("demand", ("system", "product", "store", "period"), ("starts_on", "units"))


def append(connection: duckdb.DuckDBPyConnection, table: Table, staged: pl.DataFrame, file_digest: str) -> Appended:
    """Appends rows that have the table's columns and a `row_number`.

    A row whose key is known with the same content is a duplicate and harmless; with other content it is a
    conflict and does not enter, nor do two rows of one file that contradict each other: the last never wins.
    """
    key, content = ", ".join(table.key), ", ".join(table.content)
    connection.register("staged_frame", staged)
    connection.execute(
        f"create or replace temp table staged as select row_number, {key}, {content}, "
        f"hash(row({content})) as fingerprint from staged_frame"
    )
    connection.unregister("staged_frame")
    connection.execute(f"""
        create or replace temp table judged as
        with stored as (
            select {key}, hash(row({content})) as stored_fingerprint
            from {table.name} semi join staged using ({key})
        )
        select staged.*, stored_fingerprint,
            row_number() over (partition by {key} order by staged.row_number) as copy,
            min(fingerprint) over (partition by {key}) <> max(fingerprint) over (partition by {key})
                or (stored_fingerprint is not null and stored_fingerprint <> fingerprint) as conflicting
        from staged left join stored using ({key})
    """)
    new = "not conflicting and stored_fingerprint is null and copy = 1"
    connection.execute(
        f"insert into {table.name} ({key}, {content}, file_digest) "
        f"select {key}, {content}, ? from judged where {new} order by row_number",
        [file_digest],
    )
    counts = connection.execute(
        f"select count(*) filter ({new}), count(*) filter (not conflicting and not ({new})) from judged"
    ).fetchone()
    conflicting = connection.execute(
        f"select row_number, {key}, {content} from judged where conflicting order by row_number"
    ).pl()
    connection.execute("drop table staged; drop table judged")
    added, duplicate = counts if counts else (0, 0)
    return Appended(int(added), int(duplicate), conflicting)
