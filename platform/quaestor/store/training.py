"""Streams the rounds that may teach in record batches, ordered by event id: memory does not grow with the window."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from quaestor.errors import UsageError

MEMORY = "512MB"
"""What DuckDB may hold while it joins and sorts; beyond it goes to a temporary folder."""
BATCH = 65_536


@dataclass(frozen=True)
class TrainingWindow:
    """Which rounds of a system teach: those decided from `since` on whose attribution window has closed by `as_of`
    (UTC). default_reward: what a round without an outcome is worth."""

    system: str
    as_of: datetime
    attribution_hours: float
    default_reward: float
    since: datetime | None = None


@dataclass(frozen=True)
class Names:
    """What the rounds of a system are made of: features by name, and every action that was ever eligible."""

    numeric: tuple[str, ...]
    category: tuple[str, ...]
    actions: tuple[str, ...]


@dataclass(frozen=True)
class TrainingBatch:
    """Some rounds: numeric (round, feature), NaN where missing; category (round, feature), a place in `levels` or −1
    where missing; action (round,), a place in the names' actions; propensity and reward (round,)."""

    numeric: NDArray[np.float32]
    category: NDArray[np.int32]
    levels: list[str]
    action: NDArray[np.int64]
    propensity: NDArray[np.float64]
    reward: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.action)


def names(connection: duckdb.DuckDBPyConnection, system: str) -> Names:
    """The features and actions of a system; raises UsageError when it has no decision at all."""
    numeric: dict[str, None] = {}
    category: dict[str, None] = {}
    for _, numbers, categories in _schemas(connection, system):
        numeric.update(dict.fromkeys(numbers))
        category.update(dict.fromkeys(categories))
    actions = connection.execute(
        "select distinct unnest(eligible) as action from decisions where system = ? order by action", [system]
    ).fetchall()
    if not actions:
        raise UsageError(f"No decisions of system {system!r} in the store.")
    return Names(tuple(numeric), tuple(category), tuple(action for (action,) in actions))


def training_batches(
    connection: duckdb.DuckDBPyConnection, window: TrainingWindow, known: Names
) -> Iterator[TrainingBatch]:
    """The matured and expired rounds of a window, fallbacks left out, as `quaestor.log.maturity.judge` finds them.

    Ordered by event id, whatever order they arrived in. Of several revisions in time the highest counts.
    """
    connection.execute(f"set memory_limit = '{MEMORY}'")
    connection.execute("set enable_progress_bar = false")
    connection.execute(f"set temp_directory = '{tempfile.gettempdir()}'")
    place = {action: number for number, action in enumerate(known.actions)}
    for record in connection.execute(*_query(connection, window, known)).to_arrow_reader(BATCH):
        yield _batch(record, known, place)


def _query(connection: duckdb.DuckDBPyConnection, window: TrainingWindow, known: Names) -> tuple[str, dict[str, Any]]:
    parts = []
    for schema_id, numbers, categories in _schemas(connection, window.system):
        numeric = _listed("numeric_features", numbers, known.numeric)
        category = _listed("category_features", categories, known.category)
        parts.append(
            f"select event_id, decided_at, action, propensity, {numeric}::float[] as numeric, {category} as category "
            f"from decisions where system = $system and schema_id = '{schema_id}' and not fallback "
            "and decided_at + $window <= $as_of and ($since is null or decided_at >= $since)"
        )
    revised = connection.execute(
        "select count(*) from outcomes where system = ? and revision > 0", [window.system]
    ).fetchone()
    decided = " union all ".join(parts)
    joined = (
        "select d.*, o.reward, o.revision from decided d left join outcomes o on o.system = $system "
        "and o.event_id = d.event_id and o.observed_at <= d.decided_at + $window"
    )
    if revised and revised[0]:
        joined += " qualify row_number() over (partition by d.event_id order by o.revision desc) = 1"
    query = (
        f"with decided as ({decided}) select action, propensity, numeric, category, "
        f"coalesce(reward, $default_reward) as reward from ({joined}) order by event_id"
    )
    return query, {
        "system": window.system,
        "window": timedelta(hours=window.attribution_hours),
        "as_of": window.as_of,
        "since": window.since,
        "default_reward": window.default_reward,
    }


def _listed(column: str, own: list[str], wanted: tuple[str, ...]) -> str:
    """A schema's list in the order of the wanted names; null for those it does not have."""
    if tuple(own) == wanted:
        return column
    return "[" + ", ".join(f"{column}[{own.index(n) + 1}]" if n in own else "null" for n in wanted) + "]"


def _schemas(connection: duckdb.DuckDBPyConnection, system: str) -> list[tuple[str, list[str], list[str]]]:
    return connection.execute(
        "select schema_id, numeric_names, category_names from context_schemas "
        "semi join (select distinct schema_id from decisions where system = ?) using (schema_id) order by schema_id",
        [system],
    ).fetchall()


def _batch(record: pa.RecordBatch, known: Names, place: dict[str, int]) -> TrainingBatch:
    actions = record["action"].dictionary_encode()
    numbers = np.array([place[name] for name in actions.dictionary.to_pylist()], dtype=np.int64)
    words = record["category"].flatten().dictionary_encode()
    rounds = record.num_rows
    codes = words.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return TrainingBatch(
        numeric=record["numeric"].flatten().to_numpy(zero_copy_only=False).reshape(rounds, len(known.numeric)),
        category=codes.reshape(rounds, len(known.category)),
        levels=words.dictionary.cast(pa.string()).to_pylist(),
        action=numbers[actions.indices.to_numpy(zero_copy_only=False)],
        propensity=record["propensity"].to_numpy(zero_copy_only=False),
        reward=record["reward"].to_numpy(zero_copy_only=False),
    )
