"""Brings a file into the store: read, check, append; whatever may not enter is quarantined with its reason."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

import polars as pl

from quaestor.errors import QuaestorError, UsageError
from quaestor.log.columns import KINDS, Kind, typed
from quaestor.log.contracts import Checked, check
from quaestor.log.formats import Part, reader
from quaestor.log.subjects import hashed
from quaestor.store import Connection, Store, events, files, quarantine, round_hours
from quaestor.study import parse

INTAKES: dict[Kind, Callable[[Connection, str], events.Intake]] = {
    "decisions": events.DecisionIntake,
    "outcomes": events.OutcomeIntake,
    "demand": events.DemandIntake,
    "orders": events.OrderIntake,
}


_Ready = tuple[dict[Kind, Checked], pl.DataFrame]
"""The checked rows of a part by kind, and those that its reader refused."""


@dataclass(frozen=True)
class IngestSummary:
    """What became of a file. `refused` counts rows by code and `examples` holds one reason of each;
    `quarantined` counts those not already in quarantine, `released` the outcomes that had waited for their
    decision; `already` says that nothing was done because the same bytes had been ingested before.
    """

    name: str
    digest: str
    rows: int = 0
    added: int = 0
    duplicate: int = 0
    quarantined: int = 0
    released: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    already: bool = False

    def sentence(self) -> str:
        """The summary in words."""
        if self.already:
            return f"{self.name}: already ingested, nothing to do."
        parts = [f"{self.name}: {self.rows:,} rows, {self.added:,} added, {self.duplicate:,} already there"]
        if self.released:
            parts.append(f"{self.released:,} waiting outcomes released")
        total = sum(self.refused.values())
        if total:
            reasons = "; ".join(f"{count:,} × {self.examples[code]}" for code, count in self.refused.items())
            parts.append(f"{total:,} quarantined: {reasons}")
        return ", ".join(parts).rstrip(".") + "."


def ingest_file(store: Store, file_format: str, path: Path, system: str | None = None) -> IngestSummary:
    """Ingests one file in one transaction; the same file, or the same rows, change nothing a second time.

    The file is read part by part, so that memory does not grow with it. file_format: a known one, or the path of a TOML
    mapping. Raises UsageError for an unknown format, a file that cannot be read or that lacks columns.
    """
    read = reader(file_format)
    digest = _digest(path, file_format, system)
    with store.read() as connection:
        known = files.summary_of(connection, digest)
    if known is not None:
        return parse(IngestSummary, {**known, "already": True}, "the store")
    parts = _ahead(_check(part, path, system, store.path.parent) for part in read(path, system))
    first = list(islice(parts, 1))  # most files are one part: they are checked before anyone has to wait
    with store.write() as connection, closing(parts):
        if files.summary_of(connection, digest) is not None:  # another process was faster
            return IngestSummary(path.name, digest, already=True)
        summary = IngestSummary(path.name, digest)
        intakes: dict[Kind, events.Intake] = {}
        held = (first.pop() for _ in range(len(first)))  # no part is held longer than it is needed
        for checked, refused in chain(held, parts):
            for kind, rows in checked.items():
                if kind not in intakes:
                    intakes[kind] = INTAKES[kind](connection, digest)
                intakes[kind].add(rows.good)
                summary = _refuse(connection, kind, rows.bad, replace(summary, rows=summary.rows + len(rows.good)))
            summary = _refuse(connection, "decisions", refused, summary)
        for kind in (kind for kind in KINDS if kind in intakes):  # decisions first: outcomes look for theirs
            summary = _settle(connection, kind, intakes[kind].finish(), summary)
        round_hours.tell(connection, digest)
        files.record(connection, digest, path.name, file_format, asdict(summary))
    return summary


def _ahead(parts: Iterable[_Ready]) -> Generator[_Ready]:
    """The same parts, each made by a thread while the one before it is used."""
    waiting = iter(parts)
    with ThreadPoolExecutor(1, thread_name_prefix="contracts") as pool:
        coming = pool.submit(next, waiting, None)
        while (part := coming.result()) is not None:
            coming = pool.submit(next, waiting, None)
            yield part


def _check(part: Part, path: Path, system: str | None, data: Path) -> _Ready:
    """The rows of a part by kind, parted by their contracts, and those that its reader refused."""
    checked = {}
    for kind, as_it_came in part.frames.items():
        raw = hashed(as_it_came, data)  # before anything is kept of it, in quarantine or elsewhere
        rows = check(kind, typed(kind, raw, system, path.name), raw)
        shift = pl.col("row_number").cast(pl.Int64) + part.start
        checked[kind] = Checked(rows.good.with_columns(shift), rows.bad.with_columns(shift))
    return checked, part.refused.with_columns(system=pl.lit(system or path.stem)) if len(part.refused) else part.refused


def _refuse(connection: Connection, kind: Kind, rows: pl.DataFrame, summary: IngestSummary) -> IngestSummary:
    """Quarantines rows that broke a rule, or that the reader could not make anything of."""
    if rows.is_empty():
        return summary
    bad = rows.select(events.NO_ROWS.columns).cast(events.NO_ROWS.schema)
    return _quarantine(connection, kind, bad, replace(summary, rows=summary.rows + len(bad)))


def _settle(connection: Connection, kind: Kind, entered: events.Entered, summary: IngestSummary) -> IngestSummary:
    """Adds what became of the good rows."""
    summary = replace(
        summary,
        added=summary.added + entered.added,
        duplicate=summary.duplicate + entered.duplicate,
        released=summary.released + entered.released,
    )
    return _quarantine(connection, kind, entered.refused, summary)


def _quarantine(connection: Connection, kind: Kind, bad: pl.DataFrame, summary: IngestSummary) -> IngestSummary:
    refused, examples = _counted(summary, bad)
    added = quarantine.add(connection, kind, bad, summary.digest)
    return replace(summary, quarantined=summary.quarantined + added, refused=refused, examples=examples)


def _counted(summary: IngestSummary, bad: pl.DataFrame) -> tuple[dict[str, int], dict[str, str]]:
    refused, examples = dict(summary.refused), dict(summary.examples)
    for code, count, reason in bad.group_by("code", maintain_order=True).agg(pl.len(), pl.first("reason")).iter_rows():
        refused[code] = refused.get(code, 0) + count
        examples.setdefault(code, reason)
    return refused, examples


def _digest(path: Path, file_format: str, system: str | None) -> str:
    digest = hashlib.sha256(f"{file_format}\x1f{system or ''}\x1f".encode())
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except FileNotFoundError:
        raise UsageError(f"No file at {path}.") from None
    except OSError as error:
        raise QuaestorError(f"{path} cannot be read: {error.strerror}.") from None
    return digest.hexdigest()
