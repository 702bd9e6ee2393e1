"""Reads decisions and outcomes back, one feature a column."""

from __future__ import annotations

from datetime import datetime

import duckdb
import polars as pl

from quaestor.errors import UsageError


def decisions(
    connection: duckdb.DuckDBPyConnection,
    system: str,
    since: datetime | None = None,
    until: datetime | None = None,
    iteration_ids: tuple[str, ...] = (),
) -> pl.DataFrame:
    """Decisions of a system with since ≤ decided_at < until, of all or the named iterations.

    Features come as columns numeric_… and category_…; where a later schema has a feature that an earlier one
    lacks, it is null. Raises UsageError when the system has no decision at all.
    """
    frames = []
    for schema_id, numeric, category in connection.execute(
        "select schema_id, numeric_names, category_names from context_schemas "
        "semi join (select distinct schema_id from decisions where system = ?) using (schema_id) order by schema_id",
        [system],
    ).fetchall():
        features = [f"numeric_features[{i}] as {_quoted('numeric_' + name)}" for i, name in enumerate(numeric, 1)]
        features += [f"category_features[{i}] as {_quoted('category_' + name)}" for i, name in enumerate(category, 1)]
        columns = ", ".join(
            ("system, event_id, decided_at, iteration_id, eligible, propensities, action, propensity, fallback", *features)
        )
        frames.append(
            connection.execute(
                f"""
                select {columns} from decisions
                where system = $system and schema_id = $schema_id
                    and ($since is null or decided_at >= $since) and ($until is null or decided_at < $until)
                    and (len($iterations) = 0 or list_contains($iterations, iteration_id))
                order by event_id
                """,
                {
                    "system": system,
                    "schema_id": schema_id,
                    "since": since,
                    "until": until,
                    "iterations": list(iteration_ids),
                },
            ).pl()
        )
    if not frames:
        known = [row[0] for row in connection.execute("select distinct system from decisions order by 1").fetchall()]
        raise UsageError(f"No decisions of system {system!r} in the store; it has: {', '.join(known) or 'none'}.")
    return pl.concat(frames, how="diagonal").sort("event_id")


def outcomes(connection: duckdb.DuckDBPyConnection, system: str) -> pl.DataFrame:
    """Every outcome of a system: system, event_id, revision, observed_at, reward."""
    return connection.execute(
        "select system, event_id, revision, observed_at, reward from outcomes where system = ? "
        "order by event_id, revision",
        [system],
    ).pl()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
