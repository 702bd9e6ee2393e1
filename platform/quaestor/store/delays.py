"""How long outcomes take, and which rounds still wait for theirs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import duckdb
import polars as pl

ROUNDS_READ = 200_000
"""The newest closed rounds from which delays are read: those of long ago say little of those to come."""
POINTS = 60


def delay_curve(
    connection: duckdb.DuckDBPyConnection, system: str, attribution_hours: float, as_of: datetime
) -> pl.DataFrame:
    """How many of the newest closed rounds had an outcome so many hours after their decision, over the attribution
    window: hours, answered, rounds (the same in each row).

    Closed are rounds whose window had passed `as_of` (UTC); the newest 200,000 of them are read. Empty where there are
    none.
    """
    counts = _binned(
        connection,
        "select event_id, decided_at from decisions where system = $system and decided_at <= $closes "
        "order by decided_at desc limit $rounds",
        "epoch(first.observed_at - decided_at)",
        {"closes": as_of - timedelta(hours=attribution_hours), "rounds": ROUNDS_READ},
        (system, attribution_hours, as_of),
    )
    if counts.is_empty():
        return pl.DataFrame(schema={"hours": pl.Float64, "answered": pl.Int64, "rounds": pl.Int64})
    grid = pl.DataFrame({"bin": range(POINTS + 1)}, schema={"bin": pl.Int64})
    arrived = grid.join(counts, on="bin", how="left").sort("bin")["answered"].fill_null(0).cum_sum()
    hours = [attribution_hours * number / POINTS for number in range(POINTS + 1)]
    rounds = pl.lit(int(counts["rounds"].sum()), dtype=pl.Int64)
    return pl.DataFrame({"hours": hours, "answered": arrived}).with_columns(rounds=rounds)


def pending_by_age(
    connection: duckdb.DuckDBPyConnection, system: str, attribution_hours: float, as_of: datetime
) -> pl.DataFrame:
    """The rounds whose window is open `as_of` (UTC) by their age, and how many have an outcome by now: hours (of age,
    to the next point), answered, rounds."""
    counts = _binned(
        connection,
        "select event_id, decided_at from decisions where system = $system and decided_at > $opens "
        "and decided_at <= $as_of",
        "epoch($as_of - decided_at)",
        {"opens": as_of - timedelta(hours=attribution_hours)},
        (system, attribution_hours, as_of),
    )
    hours = pl.col("bin") * (attribution_hours / POINTS)
    return counts.drop_nulls("bin").select(hours.alias("hours"), "answered", "rounds")


def _binned(
    connection: duckdb.DuckDBPyConnection,
    rounds: str,
    seconds: str,
    further: dict[str, Any],
    asked: tuple[str, float, datetime],
) -> pl.DataFrame:
    """Rounds by a time in points of the window: bin (null where the time is not known), answered, rounds."""
    system, hours, as_of = asked
    return connection.execute(
        f"""
        with chosen as ({rounds}), first as (
            select event_id, min(observed_at) as observed_at from outcomes
            where system = $system and observed_at <= $as_of
                and observed_at >= (select min(decided_at) from chosen)
                and event_id in (select event_id from chosen)
            group by event_id
        )
        select ceil({seconds} / 3600 / $hours * $points)::bigint as bin, count(first.event_id) as answered,
            count(*) as rounds
        from chosen left join first using (event_id) group by bin order by bin
        """,
        {"system": system, "hours": hours, "as_of": as_of, "points": POINTS} | further,
    ).pl()
