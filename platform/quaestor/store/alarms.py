"""The alarms that stand, those that are over, and when the watch last looked."""

from __future__ import annotations

from datetime import datetime

import duckdb
import polars as pl

COLUMNS = ("subject", "system", "about", "status", "sentence", "first_at", "seen_at", "told")


def standing(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The alarms that are not over, oldest first: the columns of COLUMNS."""
    return connection.execute(
        f"select {', '.join(COLUMNS)} from alarms where over_at is null order by first_at, subject, system, about"
    ).pl()


def past(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The alarms that are over, newest first, with over_at."""
    return connection.execute(
        f"select {', '.join(COLUMNS)}, over_at from alarms where over_at is not null order by over_at desc, first_at"
    ).pl()


def keep(connection: duckdb.DuckDBPyConnection, rows: list[tuple[object, ...]], now: datetime) -> None:
    """Makes these the alarms that stand, rows of COLUMNS; those that stood and are not among them are over."""
    still = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    connection.register("standing_frame", still)
    connection.execute(
        "update alarms set over_at = ? where over_at is null and (subject, system, about) not in "
        "(select (subject, system, about) from standing_frame)",
        [now],
    )
    connection.execute(
        "delete from alarms where over_at is null and (subject, system, about) in "
        "(select (subject, system, about) from standing_frame)"
    )
    connection.execute(f"insert into alarms select {', '.join(COLUMNS)}, null from standing_frame")
    connection.unregister("standing_frame")
    connection.execute("delete from looks")
    connection.execute("insert into looks values (?)", [now])


def last_look(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    """When the watch last looked; None where it never did."""
    row = connection.execute("select max(looked_at) from looks").fetchone()
    return row[0] if row else None


_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "subject": pl.String,
    "system": pl.String,
    "about": pl.String,
    "status": pl.String,
    "sentence": pl.String,
    "first_at": pl.Datetime("us"),
    "seen_at": pl.Datetime("us"),
    "told": pl.String,
}
