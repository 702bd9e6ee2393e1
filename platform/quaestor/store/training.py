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
from quaestor.store.outcome_places import NOWHERE, outcome_places

MEMORY = "512MB"
"""What DuckDB may hold while it joins; beyond it goes to a temporary folder."""
SLICE = 131_072
"""Rounds in a slice, about: whole minutes are added until it has as many."""
AHEAD = 2
"""Slices that are read while one is used."""
PIECE = 16_384
"""Rounds that DuckDB hands over at a time: larger buffers are grown by copying them."""


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
    """Some rounds: event_ids (round,); numeric (round, feature), float32, NaN where missing; category (round, feature),
    a place in `levels` or −1 where missing; action (round,), a place in the names' actions; propensity and
    reward (round,)."""

    event_ids: pl.Series
    numeric: NDArray[np.float32]
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
    actions = connection.execute(
        "select distinct unnest(actions) from eligible_sets "
        "where eligible_id in (select eligible_id from decisions where system = ?)",
        [system],
    ).fetchall()
    if not actions:
        raise UsageError(f"No decisions of system {system!r} in the store.")
    return Names(tuple(numeric), tuple(category), tuple(sorted(action for (action,) in actions)))


def training_batches(
    connection: duckdb.DuckDBPyConnection, window: TrainingWindow, known: Names
) -> Iterator[TrainingBatch]:
    """The matured and expired rounds of a window, fallbacks left out, as `quaestor.log.maturity.judge` finds them.

    Ordered by time of decision and event id, whatever order they arrived in; where a batch ends depends on the times
    alone. Of several revisions in time the highest counts. While one batch is used the next ones are read.
    """
    connection.execute(f"set memory_limit = '{MEMORY}'")
    connection.execute("set threads = 1")  # each slice is read by a thread of its own
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
    """Spans [begin, end) that cover the closed rounds, of about as many each, parted between whole minutes: a function
    of the rounds' times."""
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
    if window.since is not None:
        edges[0] = max(edges[0], window.since)
    last = min(begins[-1].astype(datetime) + timedelta(minutes=1), closed + timedelta(microseconds=1))
    return list(zip(edges, [*edges[1:], last], strict=True))


class _Reader:
    """Reads slices of a window."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, window: TrainingWindow, known: Names) -> None:
        self._connection = connection
        self._window = window
        self._known = known
        self._place = {action: number for number, action in enumerate(known.actions)}
        system = window.system.replace("'", "''")
        span = f"system = '{system}' and decided_at >= $begin and decided_at < $end"
        self._rounds = []
        schemas = _schemas(connection, window.system)
        for schema_id, numbers, categories in schemas:
            numeric = _listed("numeric_features", numbers, known.numeric)
            category = _listed("category_features", categories, known.category)
            own = f" and schema_id = '{schema_id}'" if len(schemas) > 1 else ""
            self._rounds.append(
                f"select event_id, key_hash, decided_at, action, propensity, {numeric} as numeric, "
                f"{category} as category from decisions where {span} and not fallback{own}"
            )
        patience = timedelta(hours=window.attribution_hours) // timedelta(microseconds=1)
        in_time = f"epoch_us(observed_at) - epoch_us(decided_at) <= {patience}"
        self._outcomes = f"select event_id, key_hash, revision, reward from outcomes where {span} and {in_time}"

    def read(self, begin: datetime, end: datetime) -> TrainingBatch:
        """The rounds decided in [begin, end)."""
        span = {"begin": begin, "end": end}
        with self._connection.cursor() as own:
            table = pa.concat_tables(own.execute(query, span).to_arrow_table(PIECE) for query in self._rounds)
            outcomes = own.execute(self._outcomes, span).to_arrow_table(PIECE)
        order = _order(table)
        batch = _batch(table, self._rewards(table, outcomes), self._known, self._place)
        return batch if order is None else batch.rows(order)

    def _rewards(self, table: pa.Table, outcomes: pa.Table) -> NDArray[np.float64]:
        """The reward of each round: of its highest revision in time, or the default."""
        place = outcome_places(table, outcomes)
        known = place != NOWHERE
        where, revision, found = place[known], *(outcomes[n].to_numpy()[known] for n in ("revision", "reward"))
        if revision.any():
            rising = np.argsort(revision, kind="stable")  # the highest is set last
            where, found = where[rising], found[rising]
        reward = np.full(table.num_rows, self._window.default_reward)
        reward[where] = found
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
        numeric=_flat(table["numeric"]).reshape(rounds, len(known.numeric)),
        category=words.indices.fill_null(-1).to_numpy().reshape(rounds, len(known.category)),
        levels=words.dictionary.cast(pa.string()).to_pylist(),
        action=numbers[actions.indices.to_numpy()],
        propensity=table["propensity"].to_numpy(),
        reward=reward,
    )


def _flat(lists: pa.ChunkedArray) -> NDArray[np.float32]:
    """The numbers of all lists, one after another; NaN where missing."""
    pieces = [pc.list_flatten(piece).to_numpy(zero_copy_only=False) for piece in lists.chunks]
    return np.concatenate(pieces, dtype=np.float32, casting="same_kind") if pieces else np.zeros(0, dtype=np.float32)
