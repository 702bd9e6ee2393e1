"""Appends rows to a table that has no key: new ones enter, equal ones are counted, others are parted."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import polars as pl

from quaestor.clock import utc_now


@dataclass(frozen=True)
class Table:
    """An append-only table: the columns that identify a row, those of them that its key_hash is made of, those that
    must agree when it comes again, and those that nobody compares."""

    name: str
    key: tuple[str, ...]
    hashed: tuple[str, ...]
    content: tuple[str, ...]
    derived: tuple[str, ...] = ()

    @property
    def columns(self) -> str:
        """Key, content, what is derived and key_hash, as SQL lists them."""
        return ", ".join((*self.key, *self.content, *self.derived, "key_hash"))

    @property
    def key_hash(self) -> str:
        """The hash of a row's key in SQL."""
        return f"hash({', '.join(self.hashed)})"


@dataclass(frozen=True)
class Appended:
    """How many rows entered, how many were there already, and the rows that contradict another of their key."""

    added: int
    duplicate: int
    conflicting: pl.DataFrame


DECISIONS = Table(
    "decisions",
    ("system", "event_id"),
    ("system", "event_id"),
    (
        "decided_at", "iteration_id", "schema_id", "numeric_features", "category_features",
        "eligible_id", "propensities", "action", "propensity", "fallback",
    ),
    derived=("subject",),
)  # fmt: skip
OUTCOMES = Table(
    "outcomes",
    ("system", "event_id", "revision"),
    ("system", "event_id"),
    ("observed_at", "reward"),
    derived=("decided_at",),
)
DEMAND = Table(
    "demand",
    ("system", "product", "store", "period"),
    ("system", "product", "store", "period"),
    ("starts_on", "units", "stocked_out"),
)


ORDERS = Table(
    "orders",
    ("system", "product", "period"),
    ("system", "product", "period"),
    ("decided_at", "iteration_id", "sources", "targets", "units", "readings"),
)


def append(connection: duckdb.DuckDBPyConnection, table: Table, staged: str, file_digest: str) -> Appended:
    """Appends the rows of a temporary table that has the table's columns and a `row_number`.

    A row whose key is known with the same content is a duplicate and harmless; with other content it is a
    conflict and does not enter, nor do two rows of one file that contradict each other: the last never wins.
    The table is read once for its key hashes; only rows whose hash is there, or comes twice, are compared.
    """
    connection.execute(f"""
        create or replace temp table doubted as
            select key_hash from {staged} group by key_hash having count(*) > 1
            union select key_hash from {table.name} where key_hash in (select key_hash from {staged})
    """)
    connection.execute(insertion(table, f"from {staged} anti join doubted using (key_hash)"), [file_digest])
    count = connection.execute(f"select count(*) from {staged} anti join doubted using (key_hash)").fetchone()
    judged = _judge(connection, table, staged, file_digest)
    connection.execute("drop table doubted")
    return Appended(judged.added + (int(count[0]) if count else 0), judged.duplicate, judged.conflicting)


def insertion(table: Table, query: str) -> str:
    """The statement that appends the rows of a query with the table's columns, of the file whose digest is its one
    parameter; that they are new is the caller's business."""
    return f"insert into {table.name} ({table.columns}, file_digest) select {table.columns}, ? from ({query})"


def ensure_key_hashes(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes the key hashes those of this DuckDB: another version may hash otherwise, and would find no row again."""
    ours, kept = connection.execute("select hash('quaestor', 'key'), (select max(probe) from key_hashing)").fetchall()[
        0
    ]
    if ours == kept:
        return
    for table in (DECISIONS, OUTCOMES, DEMAND, ORDERS):
        connection.execute(f"update {table.name} set key_hash = {table.key_hash}")
    connection.execute("delete from key_hashing")
    connection.execute("insert into key_hashing values (?, ?)", [ours, utc_now()])


def _judge(connection: duckdb.DuckDBPyConnection, table: Table, staged: str, file_digest: str) -> Appended:
    """Compares the doubted rows with those of their key, in the table and among themselves."""
    key, content = ", ".join(table.key), ", ".join(table.content)
    connection.execute(f"""
        create or replace temp table alike as
            select rowid as place from {table.name} where key_hash in (select key_hash from doubted)
    """)
    connection.execute(f"""
        create or replace temp table judged as
        with stored as (
            select {key}, hash(row({content})) as stored_fingerprint
            from {table.name} where rowid in (select place from alike)
        ), fresh as (
            select *, hash(row({content})) as fingerprint from {staged} semi join doubted using (key_hash)
        )
        select fresh.*, stored_fingerprint,
            row_number() over (partition by {key} order by fresh.row_number) as copy,
            min(fingerprint) over (partition by {key}) <> max(fingerprint) over (partition by {key})
                or (stored_fingerprint is not null and stored_fingerprint <> fingerprint) as conflicting
        from fresh left join stored using ({key})
    """)
    new = "not conflicting and stored_fingerprint is null and copy = 1"
    connection.execute(insertion(table, f"from judged where {new} order by row_number"), [file_digest])
    counts = connection.execute(
        f"select count(*) filter ({new}), count(*) filter (not conflicting and not ({new})) from judged"
    ).fetchone()
    conflicting = connection.execute(
        f"select row_number, {key}, {content} from judged where conflicting order by row_number"
    ).pl()
    connection.execute("drop table alike; drop table judged")
    added, duplicate = counts if counts else (0, 0)
    return Appended(int(added), int(duplicate), conflicting)
