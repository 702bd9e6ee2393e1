"""Reads decisions and outcomes back, one feature a column."""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import polars as pl

from quaestor.errors import UsageError


def decisions(
    connection: duckdb.DuckDBPyConnection,
    system: str,
    since: datetime | None = None,
    until: datetime | None = None,
    event_id: str | None = None,
) -> pl.DataFrame:
    """Decisions of a system with since ≤ decided_at < until, of all events or one.

    Features come as columns numeric_… and category_…; where a later schema has a feature that an earlier one
    lacks, it is null. Raises UsageError when the system has no decision at all.
    """
    frames = []
    for schema_id, numeric, category in connection.execute(
        "select schema_id, numeric_names, category_names from context_schemas "
        "semi join (select distinct schema_id from decisions where system = $system "
        "and ($since is null or decided_at >= $since) and ($until is null or decided_at < $until)) using (schema_id) "
        "order by schema_id",
        {"system": system, "since": since, "until": until},
    ).fetchall():
        features = [f"numeric_features[{i}] as {_quoted('numeric_' + name)}" for i, name in enumerate(numeric, 1)]
        features += [f"category_features[{i}] as {_quoted('category_' + name)}" for i, name in enumerate(category, 1)]
        columns = ", ".join(
            (
                "system, event_id, decided_at, iteration_id, actions as eligible",
                "propensities, action, propensity, fallback",
                *features,
            )
        )
        frames.append(
            connection.execute(
                f"""
                select {columns} from decisions join eligible_sets using (eligible_id)
                where system = $system and schema_id = $schema_id
                    and ($since is null or decided_at >= $since) and ($until is null or decided_at < $until)
                    and ($event_id is null or event_id = $event_id)
                order by event_id
                """,
                {
                    "system": system,
                    "schema_id": schema_id,
                    "since": since,
                    "until": until,
                    "event_id": event_id,
                },
            ).pl()
        )
    if not frames:
        known = [row[0] for row in connection.execute("select distinct system from decisions order by 1").fetchall()]
        raise UsageError(f"No decisions of system {system!r} in the store; it has: {', '.join(known) or 'none'}.")
    kept = [frame for frame in frames if len(frame)] or frames[:1]
    return pl.concat(kept, how="diagonal").sort("event_id")


def one_decision(connection: duckdb.DuckDBPyConnection, event_id: str, system: str | None) -> pl.DataFrame:
    """The decision with this event id, one row, features as columns.

    Raises UsageError when there is none, or when several systems have one and none was named.
    """
    owners = [system] if system is not None else list(systems(connection))
    found = connection.execute(
        f"select system, decided_at from decisions where event_id = $event_id and list_contains($owners, system) "
        f"{_by_hash(connection, owners, event_id)} order by system",
        {"event_id": event_id, "owners": owners},
    ).fetchall()
    if not found:
        raise UsageError(f"No decision {event_id!r} in the store.")
    if len(found) > 1:
        raise UsageError(
            f"Several systems have a decision {event_id!r}: {', '.join(s for s, _ in found)}; add --system."
        )
    owner, decided_at = found[0]
    return decisions(connection, owner, decided_at, decided_at + timedelta(microseconds=1), event_id)


def newest_decisions(
    connection: duckdb.DuckDBPyConnection, system: str, most: int, until: datetime | None = None
) -> pl.DataFrame:
    """The newest decisions of a system, decided by `until` where it is given, newest first: event_id, decided_at,
    iteration_id, action, propensity, fallback, reward (of the highest revision; null where none has arrived)."""
    return connection.execute(
        """
        with newest as (
            select event_id, decided_at, iteration_id, action, propensity, fallback from decisions
            where system = $system and ($until is null or decided_at <= $until) order by decided_at desc limit $most
        )
        select newest.*, reward from newest left join (
            select event_id, max_by(reward, revision) as reward from outcomes
            where system = $system and event_id in (select event_id from newest)
                and observed_at >= (select min(decided_at) from newest)
            group by event_id
        ) using (event_id) order by decided_at desc, event_id
        """,
        {"system": system, "most": most, "until": until},
    ).pl()


def systems(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Every system with a decision in the store, by name."""
    return tuple(row[0] for row in connection.execute("select distinct system from round_hours order by 1").fetchall())


def newest_reward(connection: duckdb.DuckDBPyConnection, system: str, event_id: str) -> float | None:
    """The reward of the highest revision of an event's outcome, if there is one."""
    row = connection.execute(
        "select reward from outcomes where system = ? and event_id = ? "
        f"{_by_hash(connection, [system], event_id)} order by revision desc limit 1",
        [system, event_id],
    ).fetchone()
    return float(row[0]) if row else None


def outcomes_of(connection: duckdb.DuckDBPyConnection, system: str, event_id: str) -> pl.DataFrame:
    """Every outcome of one event, the first revision first: event_id, revision, observed_at, reward, file_digest."""
    return connection.execute(
        "select event_id, revision, observed_at, reward, file_digest from outcomes where system = ? and event_id = ? "
        f"{_by_hash(connection, [system], event_id)} order by revision",
        [system, event_id],
    ).pl()


def outcomes(connection: duckdb.DuckDBPyConnection, system: str) -> pl.DataFrame:
    """Every outcome of a system: system, event_id, revision, observed_at, reward."""
    return connection.execute(
        "select system, event_id, revision, observed_at, reward from outcomes where system = ? "
        "order by event_id, revision",
        [system],
    ).pl()


def _by_hash(connection: duckdb.DuckDBPyConnection, owners: list[str], event_id: str) -> str:
    """A condition that an event of these systems meets, and that reads eight bytes a row instead of whole ids; none
    where the hashes are of another version of DuckDB."""
    row = connection.execute(
        "select (select max(probe) from key_hashing) = hash('quaestor', 'key'), "
        "list(hash(system, $event_id::varchar)) from (select unnest($owners::varchar[]) as system)",
        {"owners": owners, "event_id": event_id},
    ).fetchone()
    if row is None or not row[0] or not row[1]:
        return ""
    return f"and key_hash in ({', '.join(str(int(each)) for each in row[1])})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
