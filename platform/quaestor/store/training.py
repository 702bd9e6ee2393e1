"""Streams the rounds that may teach, slice by slice of time: memory does not grow with the window."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from quaestor.errors import UsageError

MEMORY = "512MB"
"""What DuckDB may hold while it joins; beyond it goes to a temporary folder."""
SLICE = 131_072
"""Rounds in a slice, about: whole minutes are added until it has as many."""
AHEAD = 2
"""Slices that are read while one is used."""


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
    """Some rounds: event_ids (round,); numeric (round, feature), NaN where missing; category (round, feature), a place
    in `levels` or −1 where missing; action (round,), a place in the names' actions; propensity and reward (round,)."""

    event_ids: pl.Series
    numeric: NDArray[np.float64]
    category: NDArray[np.int32]
    levels: list[str]
    action: NDArray[np.int64]
    propensity: NDArray[np.float64]
    reward: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.action)

    def rows(self, index: NDArray[np.int64]) -> TrainingBatch:
        """The rounds at these positions, in this order."""
        return TrainingBatch(
            self.event_ids[index],
            self.numeric[index],
            self.category[index],
            self.levels,
            self.action[index],
            self.propensity[index],
            self.reward[index],
        )


def names(connection: duckdb.DuckDBPyConnection, system: str) -> Names:
    """The features and actions of a system; raises UsageError when it has no decision at all."""
    numeric: dict[str, None] = {}
    category: dict[str, None] = {}
    for _, numbers, categories in _schemas(connection, system):
        numeric.update(dict.fromkeys(numbers))
        category.update(dict.fromkeys(categories))
    # Most rounds offer the same actions: comparing whole lists first spares most of the work.
    actions = connection.execute(
        "with first as (select eligible from decisions where system = $system limit 1), "
        "others as (select eligible from decisions where system = $system and eligible <> (from first)) "
        "select distinct unnest(eligible) as action from (from first union all from others) order by action",
        {"system": system},
    ).fetchall()
    if not actions:
        raise UsageError(f"No decisions of system {system!r} in the store.")
    return Names(tuple(numeric), tuple(category), tuple(action for (action,) in actions))


def training_batches(
    connection: duckdb.DuckDBPyConnection, window: TrainingWindow, known: Names
) -> Iterator[TrainingBatch]:
    """The matured and expired rounds of a window, fallbacks left out, as `quaestor.log.maturity.judge` finds them.

    Ordered by time of decision and event id, whatever order they arrived in; where a batch ends depends on the times
    alone. Of several revisions in time the highest counts. While one batch is used the next ones are read.
    """
    connection.execute(f"set memory_limit = '{MEMORY}'")
    connection.execute("set enable_progress_bar = false")
    connection.execute(f"set temp_directory = '{tempfile.gettempdir()}'")
    with ThreadPoolExecutor(AHEAD) as ahead:
        reading: deque[Future[TrainingBatch]] = deque()
        reader = _Reader(connection, window, known)
        for begin, end in _slices(connection, window):
            reading.append(ahead.submit(reader.read, begin, end))
            if len(reading) > AHEAD:
                yield reading.popleft().result()
        while reading:
            yield reading.popleft().result()


def _slices(connection: duckdb.DuckDBPyConnection, window: TrainingWindow) -> list[tuple[datetime, datetime]]:
    """Spans of whole minutes, [begin, end), of about as many rounds each: a function of the rounds' times."""
    closed = window.as_of - timedelta(hours=window.attribution_hours)
    counts = connection.execute(
        "select date_trunc('minute', decided_at) as begin, count(*) from decisions where system = $system "
        "and decided_at <= $closed and ($since is null or decided_at >= $since) group by begin order by begin",
        {"system": window.system, "closed": closed, "since": window.since},
    ).fetchnumpy()
    begins, rounds = counts["begin"], np.cumsum(counts["count_star()"])
    if not len(begins):
        return []
    firsts = np.searchsorted(rounds, np.arange(SLICE, int(rounds[-1]), SLICE), side="left") + 1
    edges = [moment.astype(datetime) for moment in begins[[0, *np.unique(firsts[firsts < len(begins)])]]]
    last = begins[-1].astype(datetime) + timedelta(minutes=1)
    return list(zip(edges, [*edges[1:], last], strict=True))


class _Reader:
    """Reads slices of a window."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, window: TrainingWindow, known: Names) -> None:
        self._connection = connection
        self._window = window
        self._known = known
        self._place = {action: number for number, action in enumerate(known.actions)}
        system = window.system.replace("'", "''")
        self._patience = timedelta(hours=window.attribution_hours)
        last = window.as_of - self._patience
        rounds = f"system = '{system}' and not fallback and decided_at >= $begin and decided_at < $end"
        rounds += f" and decided_at <= timestamp '{last.isoformat()}'"
        if window.since is not None:
            rounds += f" and decided_at >= timestamp '{window.since.isoformat()}'"
        self._rounds = []
        for schema_id, numbers, categories in _schemas(connection, window.system):
            numeric = _listed("numeric_features", numbers, known.numeric)
            category = _listed("category_features", categories, known.category)
            self._rounds.append(
                f"select event_id, decided_at, action, propensity, {numeric} as numeric, "
                f"{category} as category from decisions where {rounds} and schema_id = '{schema_id}'"
            )
        self._outcomes = (
            "select event_id, observed_at, revision, reward from outcomes "
            f"where system = '{system}' and observed_at >= $begin and observed_at < $end"
        )

    def read(self, begin: datetime, end: datetime) -> TrainingBatch:
        """The rounds decided in [begin, end)."""
        span = {"begin": begin, "end": end}
        with self._connection.cursor() as own:
            table = pa.concat_tables(own.execute(query, span).to_arrow_table() for query in self._rounds)
            span["end"] += self._patience
            outcomes = own.execute(self._outcomes, span).to_arrow_table()
        order = _order(table)
        batch = _batch(table, self._rewards(table, outcomes), self._known, self._place)
        return batch if order is None else batch.rows(order)

    def _rewards(self, table: pa.Table, outcomes: pa.Table) -> NDArray[np.float64]:
        """The reward of each round: of its highest revision in time, or the default."""
        place = pc.index_in(outcomes["event_id"], value_set=table["event_id"].combine_chunks())
        asked = place.is_valid().to_numpy()
        where = place.drop_null().to_numpy()
        observed, revision, found = (outcomes[n].to_numpy()[asked] for n in ("observed_at", "revision", "reward"))
        in_time = observed <= table["decided_at"].to_numpy()[where] + np.timedelta64(self._patience)
        rising = np.flatnonzero(in_time)
        if revision.any():
            rising = rising[np.argsort(revision[rising], kind="stable")]  # the highest is set last
        reward = np.full(table.num_rows, self._window.default_reward)
        reward[where[rising]] = found[rising]
        return reward


def _order(table: pa.Table) -> NDArray[np.int64] | None:
    """The order by time and event id, None where the rounds lie so already."""
    time, name = (table[column].combine_chunks() for column in ("decided_at", "event_id"))
    before = pc.or_(pc.less(time[:-1], time[1:]), pc.and_(pc.equal(time[:-1], time[1:]), pc.less(name[:-1], name[1:])))
    if pc.all(before, min_count=0).as_py():
        return None
    frame = pl.DataFrame({"time": pl.from_arrow(time), "name": pl.from_arrow(name)})
    return frame.select(pl.arg_sort_by("time", "name")).to_series().to_numpy().astype(np.int64)


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


def _batch(table: pa.Table, reward: NDArray[np.float64], known: Names, place: dict[str, int]) -> TrainingBatch:
    rounds = table.num_rows
    actions = table["action"].combine_chunks().dictionary_encode()
    numbers = np.array([place[name] for name in actions.dictionary.to_pylist()], dtype=np.int64)
    words = pc.list_flatten(table["category"]).combine_chunks().dictionary_encode()
    return TrainingBatch(
        event_ids=pl.Series(pl.from_arrow(table["event_id"])),
        numeric=pc.list_flatten(table["numeric"]).to_numpy().reshape(rounds, len(known.numeric)),
        category=words.indices.fill_null(-1).to_numpy().reshape(rounds, len(known.category)),
        levels=words.dictionary.cast(pa.string()).to_pylist(),
        action=numbers[actions.indices.to_numpy()],
        propensity=table["propensity"].to_numpy(),
        reward=reward,
    )
