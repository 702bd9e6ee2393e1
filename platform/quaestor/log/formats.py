"""The file formats that ingest reads, each part by part as frames that contracts check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from quaestor.errors import QuaestorError, UsageError
from quaestor.log.adapters.decision_service import read_decision_service
from quaestor.log.adapters.favorita import read_favorita
from quaestor.log.adapters.mapped import mapped, read_mapping
from quaestor.log.adapters.open_bandit import read_open_bandit
from quaestor.log.columns import COLUMNS, Kind
from quaestor.study import refuse_unknown

ROWS = 250_000
"""Rows of a part: memory is bounded by it, whatever the file's size. A little more than a row group of DuckDB for each
of two threads: a group that has just filled is written when more rows come, or at the end, by one thread alone."""


@dataclass(frozen=True)
class Part:
    """Some rows of a file by kind, where they begin, and rows that the reader itself refused (row_number, code, reason,
    content as JSON)."""

    frames: dict[Kind, pl.DataFrame]
    start: int = 0
    refused: pl.DataFrame = field(default_factory=pl.DataFrame)


Reader = Callable[[Path, str | None], Iterator[Part]]


def _own(kind: Kind) -> Reader:
    def read(path: Path, system: str | None) -> Iterator[Part]:
        for start, raw in _tables(path):
            yield Part({kind: raw}, start)

    return read


def _orders(path: Path, system: str | None) -> Iterator[Part]:
    """Orders as the service records them: what the policy saw, other for each, becomes one column."""
    own = {column.name for column in COLUMNS["orders"]}
    for start, raw in _tables(path):
        seen = sorted(name for name in raw.columns if name not in own)
        if seen and "readings" not in raw.columns:
            raw = raw.with_columns(readings=pl.struct(seen).struct.json_encode()).drop(seen)
        yield Part({"orders": raw}, start)


def _whole(turn: Callable[[pl.DataFrame, Path, str | None], dict[Kind, pl.DataFrame]]) -> Reader:
    """A format whose rows only make sense together."""

    def read(path: Path, system: str | None) -> Iterator[Part]:
        yield Part(turn(pl.concat([raw for _, raw in _tables(path)]), path, system))

    return read


def _decision_service(path: Path, system: str | None) -> Iterator[Part]:
    start = 0
    for events in read_decision_service(path, system):
        frames: dict[Kind, pl.DataFrame] = {"decisions": events.decisions, "outcomes": events.outcomes}
        yield Part({kind: frame for kind, frame in frames.items() if len(frame)}, start, events.refused)
        start += len(events.decisions)


FORMATS: dict[str, Reader] = {
    "decisions": _own("decisions"),
    "outcomes": _own("outcomes"),
    "demand": _own("demand"),
    "orders": _orders,
    "open-bandit": _whole(read_open_bandit),
    "favorita": _whole(read_favorita),
    "dsjson": _decision_service,
}


def reader(file_format: str) -> Reader:
    """The reader of a format, or of the mapping in a TOML file of that name; raises UsageError for any other."""
    if not file_format.endswith(".toml"):
        refuse_unknown("format", file_format, FORMATS)
        return FORMATS[file_format]
    mapping = read_mapping(Path(file_format))

    def read(path: Path, system: str | None) -> Iterator[Part]:
        for start, raw in _tables(path):
            yield Part(mapped(raw, mapping, path.name), start)

    return read


def _tables(path: Path) -> Iterator[tuple[int, pl.DataFrame]]:
    """Where each part of a table begins, and its rows; an empty table is one part."""
    if path.suffix not in (".csv", ".parquet"):
        raise UsageError(f"{path.name}: expected a .parquet or .csv file.")
    try:
        yield from _csv_parts(path) if path.suffix == ".csv" else _parquet_parts(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        cause = str(error).splitlines()[0]
        raise QuaestorError(
            f"{path.name} cannot be read as {path.suffix[1:]} ({cause}); it may be truncated. Export it again."
        ) from None


def _parquet_parts(path: Path) -> Iterator[tuple[int, pl.DataFrame]]:
    lazy = pl.scan_parquet(path)
    rows = lazy.select(pl.len()).collect().item()
    for start in range(0, max(rows, 1), ROWS):
        yield start, lazy.slice(start, ROWS).collect()


def _csv_parts(path: Path) -> Iterator[tuple[int, pl.DataFrame]]:
    lazy = pl.scan_csv(path, infer_schema=False)
    start, rest = 0, lazy.head(0).collect()
    for batch in lazy.collect_batches(chunk_size=ROWS):
        rest = pl.concat([rest, batch])
        while len(rest) >= ROWS:
            yield start, rest[:ROWS]
            start, rest = start + ROWS, rest[ROWS:]
    if start == 0 or len(rest):
        yield start, rest
