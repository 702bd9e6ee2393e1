"""Brings a file into the store: read, check, append; whatever may not enter is quarantined with its reason."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import polars as pl

from quaestor.errors import QuaestorError, UsageError
from quaestor.log.adapters.favorita import read_favorita
from quaestor.log.adapters.open_bandit import read_open_bandit
from quaestor.log.columns import Kind, typed
from quaestor.log.contracts import Checked, check
from quaestor.store import Connection, Store, events, files, quarantine
from quaestor.study import parse, refuse_unknown

Reader = Callable[[pl.DataFrame, Path, str | None], dict[Kind, pl.DataFrame]]


def _own(kind: Kind) -> Reader:
    return lambda raw, path, system: {kind: raw}


FORMATS: dict[str, Reader] = {
    "decisions": _own("decisions"),
    "outcomes": _own("outcomes"),
    "demand": _own("demand"),
    "open-bandit": read_open_bandit,
    "favorita": read_favorita,
}

_ADD = {"decisions": events.add_decisions, "outcomes": events.add_outcomes, "demand": events.add_demand}


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

    Raises UsageError for an unknown format, a file that cannot be read or that lacks columns.
    """
    refuse_unknown("format", file_format, FORMATS)
    digest = _digest(path, file_format, system)
    with store.read() as connection:
        known = files.summary_of(connection, digest)
    if known is not None:
        return parse(IngestSummary, {**known, "already": True}, "the store")
    frames = FORMATS[file_format](_read(path), path, system)
    checked = {kind: check(kind, typed(kind, raw, system, path.name), raw) for kind, raw in frames.items()}
    with store.write() as connection:
        if files.summary_of(connection, digest) is not None:  # another process was faster
            return IngestSummary(path.name, digest, already=True)
        summary = IngestSummary(path.name, digest)
        for kind, rows in checked.items():
            summary = _enter(connection, kind, rows, summary)
        files.record(connection, digest, path.name, file_format, asdict(summary))
    return summary


def _enter(connection: Connection, kind: Kind, rows: Checked, summary: IngestSummary) -> IngestSummary:
    entered = _ADD[kind](connection, rows.good, summary.digest)
    bad = pl.concat([rows.bad.select(events.NO_ROWS.columns).cast(events.NO_ROWS.schema), entered.refused])
    refused, examples = dict(summary.refused), dict(summary.examples)
    for code, count, reason in bad.group_by("code", maintain_order=True).agg(pl.len(), pl.first("reason")).iter_rows():
        refused[code] = refused.get(code, 0) + count
        examples.setdefault(code, reason)
    return IngestSummary(
        summary.name,
        summary.digest,
        rows=summary.rows + len(rows.good) + len(rows.bad),
        added=summary.added + entered.added,
        duplicate=summary.duplicate + entered.duplicate,
        quarantined=summary.quarantined + quarantine.add(connection, kind, bad, summary.digest),
        released=summary.released + entered.released,
        refused=refused,
        examples=examples,
    )


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


def _read(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        if path.suffix == ".csv":
            return pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        cause = str(error).splitlines()[0]
        raise QuaestorError(
            f"{path.name} cannot be read as {path.suffix[1:]} ({cause}); it may be truncated. Export it again."
        ) from None
    raise UsageError(f"{path.name}: expected a .parquet or .csv file.")
