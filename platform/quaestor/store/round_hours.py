"""Rounds by the hour of their decision and how long their first outcome took: told at ingest, summed when read."""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import polars as pl

FINE, COARSE = 60, 3600
"""Seconds to which delays are rounded up: within the first hour, and beyond it."""

_EVER = datetime(1, 1, 1)


def tell(connection: duckdb.DuckDBPyConnection, file_digest: str) -> None:
    """Counts what a file brought, once it is in the store: its decisions, and outcomes that are the first of their
    round; one that was the first until now is taken back."""
    # The digest is written out and places are found first: with a parameter, or in one statement, DuckDB reads every
    # column of every outcome, not eight bytes of it.
    digest = "'" + file_digest.replace("'", "''") + "'"
    connection.execute(
        "create or replace temp table round_places as select rowid as place from outcomes "
        f"where key_hash in (select key_hash from outcomes where file_digest = {digest})"
    )
    connection.execute(
        f"""
        insert into round_hours
        with firsts as materialized (
            select system, any_value(decided_at) as decided_at, min(observed_at) as first_at,
                min(observed_at) filter (file_digest <> {digest}) as before
            from outcomes where rowid in (select place from round_places) group by system, event_id
        ), changed as (
            select system, decided_at, first_at as moment, 1 as rounds from firsts
            where before is distinct from first_at
            union all
            select system, decided_at, before, -1 from firsts where before <> first_at
        )
        select system, date_trunc('hour', decided_at), null::integer, count(*) from decisions
        where file_digest = {digest} group by all
        union all
        select system, date_trunc('hour', decided_at), {_delay("moment")}, sum(rounds) from changed group by all
        """
    )
    connection.execute("drop table round_places")


def tell_anew(connection: duckdb.DuckDBPyConnection) -> None:
    """Counts everything again: after events were deleted."""
    connection.execute("delete from round_hours")
    connection.execute(
        "insert into round_hours "
        "select system, date_trunc('hour', decided_at), null, count(*) from decisions group by all"
    )
    connection.execute(
        f"""
        insert into round_hours
        select system, date_trunc('hour', decided_at), {_delay("moment")}, count(*) from (
            select system, any_value(decided_at) as decided_at, min(observed_at) as moment from outcomes
            group by system, event_id
        )
        group by all
        """
    )


def daily(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Decisions by their day, and how many of them have an outcome by now: system, day, decisions, with_outcome."""
    return connection.execute(
        """
        select system, hour::date as day, coalesce(sum(rounds) filter (delay is null), 0)::bigint as decisions,
            coalesce(sum(rounds) filter (delay is not null), 0)::bigint as with_outcome
        from round_hours group by all order by system, day
        """
    ).pl()


def totals(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Each system's decisions, how many have an outcome, and the median delay of those, rounded up as delays are:
    system, decisions, with_outcome, median_delay_hours."""
    return connection.execute(
        """
        with delays as (
            select system, delay, sum(rounds) as rounds from round_hours group by all
        ), cumulated as (
            select *, sum(rounds) over (partition by system order by delay) as until,
                sum(rounds) over (partition by system) as answered
            from delays where delay is not null
        ), answers as (
            select system, any_value(answered)::bigint as with_outcome,
                min(delay) filter (2 * until >= answered) / 3600 as median_delay_hours
            from cumulated group by system
        )
        select system, rounds::bigint as decisions, coalesce(with_outcome, 0) as with_outcome, median_delay_hours
        from delays left join answers using (system) where delay is null order by system
        """
    ).pl()


def standing(
    connection: duckdb.DuckDBPyConnection, system: str, attribution_hours: float, as_of: datetime
) -> dict[str, int]:
    """How many rounds of a system are matured, expired and pending at `as_of` (rules R6 and R7).

    Whole hours are summed; events are read for the hours in which `as_of` and the last closing window fall, and for all
    of them where the attribution window is not one that delays are rounded to.
    """
    window = timedelta(hours=attribution_hours)
    seconds = window.total_seconds()
    summed = seconds % (FINE if seconds <= COARSE else COARSE) == 0
    as_of_hour, closed_hour = (_hour(moment) if summed else _EVER for moment in (as_of, as_of - window))
    named = {
        "system": system, "window": window, "seconds": int(seconds), "as_of": as_of, "closed": as_of - window,
        "as_of_hour": as_of_hour, "closed_hour": closed_hour,
    }  # fmt: skip
    row = connection.execute(
        """
        with hours as (select * from round_hours where system = $system),
        known as (select count(*) from decisions where system = $system
            and decided_at between $as_of_hour and $as_of),
        closing as (select count(*) from decisions where system = $system
            and decided_at between $closed_hour and $closed),
        answered as (
            select any_value(decided_at) as decided_at, min(observed_at) as first_at from outcomes
            where system = $system and decided_at between $closed_hour and $closed group by event_id
        )
        select
            coalesce(sum(rounds) filter (delay is null and hour < $as_of_hour), 0)
                + (from known),
            coalesce(sum(rounds) filter (delay is null and hour < $closed_hour), 0)
                + (from closing),
            coalesce(sum(rounds) filter (delay <= $seconds and hour < $closed_hour), 0)
                + (select count(*) from answered where first_at <= decided_at + $window)
        from hours
        """,
        named,
    ).fetchone()
    known, closed, matured = (int(count) for count in row or (0, 0, 0))
    return {"matured": matured, "expired": closed - matured, "pending": known - closed}


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _delay(at: str) -> str:
    """Seconds from a decision to a moment, rounded up, in SQL."""
    seconds = f"epoch({at} - decided_at)"
    return (
        f"(case when {seconds} <= {COARSE} then {FINE} * ceil({seconds} / {FINE}) "
        f"else {COARSE} * ceil({seconds} / {COARSE}) end)::integer"
    )
