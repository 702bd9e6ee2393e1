"""What iterations earned once they decided."""

from __future__ import annotations

import polars as pl

from app.queries.store import remembered
from quaestor.registry.judging import REALISED
from quaestor.registry.realised import Realised
from quaestor.store import Connection, evidence
from quaestor.study import parse

_SCHEMA = {
    "iteration_id": pl.String, "rounds": pl.Int64, "value": pl.Float64, "lower": pl.Float64, "upper": pl.Float64,
    "first": pl.String, "last": pl.String,
}  # fmt: skip


@remembered
def realised(connection: Connection) -> pl.DataFrame:
    """The mean reward of each iteration's own matured rounds: iteration_id, rounds, value, lower, upper (95 %), first,
    last (when they were decided)."""
    rows = []
    for iteration_id, found in evidence.newest(connection, REALISED).items():
        earned = parse(Realised, next(iter(found.values())), "realised")
        rows.append((iteration_id, earned.rounds, earned.value, earned.lower, earned.upper, earned.first, earned.last))
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")
