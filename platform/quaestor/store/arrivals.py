"""How events have arrived: the newest of each kind, day by day, and how their attribution windows stand."""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import polars as pl


def newest(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The newest decision, outcome and demand record of each system, oldest first: system, part, newest_at (UTC)."""
    return connection.execute(
        """
        select system, 'decisions' as part, max(decided_at) as newest_at from decisions group by system
        union all select system, 'outcomes', max(observed_at) from outcomes group by system
        union all select system, 'demand', max(starts_on)::timestamp from demand group by system
        order by newest_at, system, part
        """
    ).pl()


def daily(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Decisions by their day, and how many of them have an outcome by now: system, day, decisions, with_outcome."""
    return connection.execute(
        """
        select system, decided_at::date as day, count(*) as decisions, count(answered) as with_outcome
        from decisions left join (select distinct system, event_id, true as answered from outcomes)
            using (system, event_id)
        group by all order by system, day
        """
    ).pl()


def standing(
    connection: duckdb.DuckDBPyConnection, system: str, attribution_hours: float, as_of: datetime
) -> dict[str, int]:
    """How many rounds of a system are matured, expired and pending at `as_of` (rules R6 and R7)."""
    row = connection.execute(
        """
        with rounds as (
            select decided_at + $window <= $as_of as closed, first_at <= decided_at + $window as in_time
            from decisions left join (
                select event_id, min(observed_at) as first_at from outcomes where system = $system group by event_id
            ) using (event_id)
            where system = $system and decided_at <= $as_of
        )
        select count(*) filter (closed and in_time), count(*) filter (closed and in_time is not true),
            count(*) filter (not closed)
        from rounds
        """,
        {"system": system, "window": timedelta(hours=attribution_hours), "as_of": as_of},
    ).fetchone()
    counts = row or (0, 0, 0)
    return dict(zip(("matured", "expired", "pending"), (int(count) for count in counts), strict=True))
