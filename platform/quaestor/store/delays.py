"""How long outcomes take, and which rounds still wait for theirs: from the hours that ingest counts."""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import polars as pl

DAYS_READ = 30
"""Delays are read from the newest closed hours: those of long ago say little of those to come."""
POINTS = 60


def delay_curve(
    connection: duckdb.DuckDBPyConnection, system: str, attribution_hours: float, as_of: datetime
) -> pl.DataFrame:
    """How many rounds had an outcome so many hours after their decision, over the attribution window: hours, answered,
    rounds (the same in each row).

    Read from rounds whose window had passed `as_of` (UTC), of the 30 days before the newest of them; delays are rounded
    up as ingest does. Empty where there are none.
    """
    counts = connection.execute(
        """
        with closed as (
            select hour, delay, rounds from round_hours
            where system = $system and hour + interval 1 hour + $window <= $as_of
        ), newest as (
            select delay, sum(rounds) as rounds from closed
            where hour > (select max(hour) from closed) - $read group by delay
        )
        select delay, rounds::bigint as rounds from newest where delay is null or delay <= $seconds order by delay
        """,
        {
            "system": system,
            "window": timedelta(hours=attribution_hours),
            "as_of": as_of,
            "read": timedelta(days=DAYS_READ),
            "seconds": attribution_hours * 3600,
        },
    ).pl()
    rounds = int(counts.filter(pl.col("delay").is_null())["rounds"].sum())
    hours = [attribution_hours * number / POINTS for number in range(POINTS + 1)] if rounds else []
    answers = counts.drop_nulls("delay")
    answered = [int(answers.filter(pl.col("delay") <= at * 3600)["rounds"].sum()) for at in hours]
    schema = {"hours": pl.Float64, "answered": pl.Int64, "rounds": pl.Int64}
    return pl.DataFrame({"hours": hours, "answered": answered, "rounds": [rounds] * len(hours)}, schema=schema)


def pending_by_age(
    connection: duckdb.DuckDBPyConnection, system: str, attribution_hours: float, as_of: datetime
) -> pl.DataFrame:
    """The rounds whose window may still be open `as_of` (UTC), by the hour of their decision, and how many have an
    outcome by now: hours (of age), answered, rounds; at most 60 rows."""
    step = max(1.0, attribution_hours / POINTS)
    return connection.execute(
        """
        select floor(epoch($as_of - hour) / 3600 / $step) * $step as hours,
            coalesce(sum(rounds) filter (delay is not null), 0)::bigint as answered,
            coalesce(sum(rounds) filter (delay is null), 0)::bigint as rounds
        from round_hours where system = $system and hour > $opens and hour <= $as_of
        group by 1 having sum(rounds) filter (delay is null) > 0 order by 1
        """,
        {"system": system, "opens": as_of - timedelta(hours=attribution_hours), "as_of": as_of, "step": step},
    ).pl()
