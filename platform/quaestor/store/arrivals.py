"""How events have arrived: the newest of each kind."""

from __future__ import annotations

import duckdb
import polars as pl

_AT = {"decisions": "decided_at", "outcomes": "observed_at"}


def newest(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The newest decision, outcome, demand record and orders of each system, oldest first: system, part, newest_at."""
    deciding = connection.execute("select distinct system from round_hours").fetchall()
    rows = [
        (system, part, found[0])
        for (system,) in deciding
        for part, at in _AT.items()
        # The first of an order is found without reading what is older, a maximum by reading everything.
        for found in connection.execute(
            f"select {at} from {part} where system = ? order by {at} desc limit 1", [system]
        ).fetchall()
    ]
    rows += connection.execute(
        "select system, 'demand', max(starts_on)::timestamp from demand group by system"
    ).fetchall()
    rows += connection.execute("select system, 'orders', max(decided_at) from orders group by system").fetchall()
    frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    return frame.sort("newest_at", "system", "part", nulls_last=True)


_SCHEMA = pl.Schema({"system": pl.String(), "part": pl.String(), "newest_at": pl.Datetime("us")})
