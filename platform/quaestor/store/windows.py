"""Two windows of a system's events side by side, the recent one and the one before it, as drift is measured on them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import polars as pl


@dataclass(frozen=True)
class Windows:
    """reference: from `first` up to `cut`; recent: from `cut` up to `until`, that one included. Times in UTC."""

    first: datetime
    cut: datetime
    until: datetime

    @classmethod
    def before(cls, until: datetime, days: float, reference_days: float) -> Windows:
        """The windows of so many days each that end at a moment."""
        cut = until - timedelta(days=days)
        return cls(cut - timedelta(days=reference_days), cut, until)


def is_covered(connection: duckdb.DuckDBPyConnection, system: str, windows: Windows) -> bool:
    """Whether the reference is at least as long as the recent window: of less, hours and weekdays would differ."""
    row = connection.execute(
        "select min(decided_at) from decisions where system = ? and decided_at >= ?", [system, windows.first]
    ).fetchone()
    return bool(row and row[0] is not None and row[0] <= windows.cut - (windows.until - windows.cut))


def newest_decision(connection: duckdb.DuckDBPyConnection, system: str, now: datetime) -> datetime | None:
    """When a system last decided, as far as it is not dated after now."""
    row = connection.execute(  # the first of an order is found without reading what is older, a maximum by reading all
        "select decided_at from decisions where system = ? and decided_at <= ? order by decided_at desc limit 1",
        [system, now],
    ).fetchone()
    return row[0] if row else None


def rewards(
    connection: duckdb.DuckDBPyConnection,
    system: str,
    windows: Windows,
    attribution_hours: float,
    default_reward: float,
) -> pl.DataFrame:
    """The rounds of each window: recent (whether), rounds, mean and variance of the reward, and the share of rounds
    without an outcome in time. `until` has to lie a whole attribution window back."""
    return connection.execute(
        """
        with closed as (
            select key_hash, decided_at >= $cut as recent, fallback from decisions
            where system = $system and decided_at between $first and $until
        ), timely as (
            select event_id, key_hash, decided_at >= $cut as recent, revision, reward from outcomes
            where system = $system and decided_at between $first and $until
                and observed_at <= decided_at + $attribution
                and key_hash not in (select key_hash from closed where fallback)
        ), answered as (
            select recent, reward from timely where key_hash not in (select key_hash from timely where revision > 0)
            union all
            select recent, arg_max(reward, revision) from timely
            where key_hash in (select key_hash from timely where revision > 0) group by recent, event_id
        ), counted as (
            select recent, count(*) as rounds from closed where not fallback group by recent
        ), summed as (
            select recent, count(*) as answers, sum(reward) as total, sum(reward * reward) as squares
            from answered group by recent
        ), whole as (
            select recent, rounds, rounds - coalesce(answers, 0) as missing,
                coalesce(total, 0) + missing * $default_reward as total,
                coalesce(squares, 0) + missing * $default_reward * $default_reward as squares
            from counted left join summed using (recent)
        )
        select recent, rounds, total / rounds as mean,
            case when rounds > 1 then greatest(squares - total * total / rounds, 0) / (rounds - 1) else 0 end
                as variance,
            missing / rounds as defaulted_share
        from whole order by recent
        """,
        {
            "system": system, "first": windows.first, "cut": windows.cut, "until": windows.until,
            "attribution": timedelta(hours=attribution_hours), "default_reward": default_reward,
        },
    ).pl()  # fmt: skip


def contexts(
    connection: duckdb.DuckDBPyConnection, system: str, windows: Windows, rows: int
) -> tuple[pl.DataFrame, int]:
    """The contexts of both windows as columns recent, numeric_… and category_…, and how many rounds there were.

    Of more than about `rows` a sample is taken by the hash of system and event id: the same one every time.
    """
    where = "system = $system and decided_at between $first and $until"
    named = {"system": system, "first": windows.first, "until": windows.until}
    counted = connection.execute(f"select count(*) from decisions where {where}", named).fetchone()
    total = int(counted[0]) if counted else 0
    frames = []
    for schema_id, numeric, category in connection.execute(
        "select schema_id, numeric_names, category_names from context_schemas "
        f"semi join (select distinct schema_id from decisions where {where}) using (schema_id) order by schema_id",
        named,
    ).fetchall():
        columns = [f"numeric_features[{i}] as {_quoted('numeric_' + name)}" for i, name in enumerate(numeric, 1)]
        columns += [f"category_features[{i}] as {_quoted('category_' + name)}" for i, name in enumerate(category, 1)]
        # Without its cast the parameter would be of 128 bits, and the remainder twenty times slower.
        frames.append(
            connection.execute(
                f"select {', '.join(['decided_at >= $cut as recent', *columns])} from decisions "
                f"where {where} and schema_id = $schema_id and key_hash % $every::ubigint = 0",
                {**named, "cut": windows.cut, "schema_id": schema_id, "every": max(1, total // rows)},
            ).pl()
        )
    empty = pl.DataFrame(schema={"recent": pl.Boolean})
    return (pl.concat(frames, how="diagonal") if frames else empty), total


def demand_totals(connection: duckdb.DuckDBPyConnection, system: str) -> pl.DataFrame:
    """Demand by period, oldest first: period, starts_on, units. Periods with fewer records than most are left out:
    a store that has not reported yet is not a fall in demand."""
    return connection.execute(
        """
        with totals as (
            select period, any_value(starts_on) as starts_on, sum(greatest(units, 0)) as units, count(*) as records
            from demand where system = ? group by period
        )
        select period, starts_on, units from totals
        where records >= (select median(records) from totals) order by period
        """,
        [system],
    ).pl()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
