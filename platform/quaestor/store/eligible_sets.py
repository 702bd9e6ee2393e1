"""The sets of eligible actions that rounds were decided among: each is kept once, and rounds name it by its id."""

from __future__ import annotations

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.store.intake import run


def eligible_ids(connection: duckdb.DuckDBPyConnection, rows: pl.DataFrame) -> NDArray[np.int32]:
    """The id of each row's set, (row,); sets that the store has not met yet enter it. rows: eligible (a list of
    actions) and eligible_set, the same number for equal lists."""
    sets = rows.select("eligible_set", actions="eligible").unique("eligible_set", keep="first", maintain_order=True)
    run(
        connection,
        """
        insert into eligible_sets
        select newest + row_number() over (order by eligible_set), actions
        from arriving anti join eligible_sets using (actions),
            (select coalesce(max(eligible_id), 0) as newest from eligible_sets)
        """,
        sets,
    )
    query = "select eligible_set, eligible_id from arriving join eligible_sets using (actions)"
    found = run(connection, query, sets).fetchnumpy()
    ids = np.zeros(int(found["eligible_set"].max()) + 1, dtype=np.int32)
    ids[found["eligible_set"]] = found["eligible_id"]
    each: NDArray[np.int32] = ids[rows["eligible_set"].to_numpy()]
    return each


def with_actions(connection: duckdb.DuckDBPyConnection, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with their eligible actions, eligible (a list), in the place of eligible_id."""
    query = "select eligible_id, actions as eligible from eligible_sets semi join arriving using (eligible_id)"
    sets = run(connection, query, rows.select("eligible_id")).pl()
    columns = ["eligible" if name == "eligible_id" else name for name in rows.columns]
    return rows.join(sets, on="eligible_id", how="left", maintain_order="left").select(columns)
