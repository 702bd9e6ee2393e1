"""Brings quarantined rows in after all, as they are or with a column set anew: what came stays on record as it came."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from quaestor.errors import UsageError
from quaestor.log.columns import CATEGORY_PREFIX, COLUMNS, KINDS, NUMERIC_PREFIX, TIME, Kind, typed
from quaestor.log.contracts import check
from quaestor.log.ingest import INTAKES, IngestSummary
from quaestor.registry.canonical import digest_of
from quaestor.store import Connection, Store, audit, files, quarantine, round_hours
from quaestor.store.audit import Entry
from quaestor.study import refuse_unknown

RESUBMIT = "resubmit"
"""What the audit trail calls it."""

FEATURES = (NUMERIC_PREFIX, CATEGORY_PREFIX)


@dataclass(frozen=True)
class Waiting:
    """Which quarantined rows: of one system, kind and code, all of them or those whose digests start with `rows`."""

    system: str
    kind: str
    code: str
    rows: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        refuse_unknown("kind of event", self.kind, KINDS)


@dataclass(frozen=True)
class Resubmitted:
    """What became of re-submitted rows: entered, there already, and refused again by code with an example; those
    wait on as they were. rehearsed: nothing was changed."""

    rows: int
    added: int
    duplicate: int
    refused: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    rehearsed: bool = False

    def sentence(self) -> str:
        """The result in words."""
        began = "Of {:,} rows {:,} would enter" if self.rehearsed else "Of {:,} rows {:,} entered"
        parts = [began.format(self.rows, self.added)]
        if self.duplicate:
            parts.append(f"{self.duplicate:,} were there already")
        for code, count in self.refused.items():
            parts.append(f"{count:,} wait on ({code}: {self.examples[code].rstrip('.')})")
        return ", ".join(parts) + "."


class _Rehearsed(Exception):  # noqa: N818, it is no error
    """Ends a rehearsal, so that its transaction is rolled back."""

    def __init__(self, found: Resubmitted) -> None:
        self.found = found


def resubmit(
    store: Store, which: Waiting, changes: Mapping[str, str], actor: str, reason: str, rehearse: bool = False
) -> Resubmitted:
    """Checks waiting rows by the same contracts as any file and lets those in that hold, in one transaction.

    changes: columns to set anew in all of them. Rows that enter are released from quarantine, where they stay on record
    as they came; the audit trail says who let them in, with which changes and why. Raises UsageError where no such row
    waits, without a reason, or for a column that rows of this kind do not have.
    """
    if not reason.strip():
        raise UsageError("Give a reason; it is kept in the audit trail.")
    try:
        with store.write() as connection:
            found = _resubmit(connection, which, changes, actor, reason.strip())
            if rehearse:
                raise _Rehearsed(found)
            return found
    except _Rehearsed as rehearsed:
        return Resubmitted(**{**asdict(rehearsed.found), "rehearsed": True})


def _resubmit(
    connection: Connection, which: Waiting, changes: Mapping[str, str], actor: str, reason: str
) -> Resubmitted:
    waiting = _chosen(connection, which)
    kind = _kind(which)
    raw = _as_they_came(waiting["content"], which, changes)
    try:
        checked = check(kind, typed(kind, raw, None, "quarantine"), raw)
    except UsageError as error:
        raise UsageError(f"These rows cannot be re-submitted from here: {error} Mend their file instead.") from None
    # The same rows may be tried again: what happened before tells one attempt from another.
    entries = len(audit.trail(connection))
    digest = digest_of([RESUBMIT, which.kind, dict(changes), waiting["row_digest"].to_list(), entries])
    intake = INTAKES[kind](connection, digest)
    intake.add(checked.good.with_columns(pl.col("row_number").cast(pl.Int64)))
    entered = intake.finish()
    bad = pl.concat(
        frame.select("row_number", "code", "reason").cast({"row_number": pl.Int64})
        for frame in (checked.bad, entered.refused)
    )
    released = waiting["row_digest"].gather(sorted(set(range(len(waiting))) - set(bad["row_number"])))
    quarantine.release(connection, released)
    round_hours.tell(connection, digest)
    refused = {str(code): int(count) for code, count in bad.group_by("code", maintain_order=True).len().iter_rows()}
    examples = {code: str(bad.filter(pl.col("code") == code)["reason"][0]) for code in refused}
    found = Resubmitted(len(waiting), entered.added, entered.duplicate, refused, examples)
    summary = IngestSummary(
        f"re-submitted by {actor}", digest, len(waiting), entered.added, entered.duplicate, 0, len(released), refused,
        examples,
    )  # fmt: skip
    files.record(connection, digest, summary.name, which.kind, asdict(summary))
    said = "".join(f", {name} set to {value!r}" for name, value in changes.items())
    told = f"{len(waiting):,} quarantined {which.kind} ({which.code}){said}: {len(released):,} let in. {reason}"
    audit.add(connection, Entry(actor, RESUBMIT, which.system, "", told))
    return found


def _chosen(connection: Connection, which: Waiting) -> pl.DataFrame:
    waiting = quarantine.waiting(connection, which.system, which.kind, which.code)
    if which.rows:
        named = pl.any_horizontal(pl.col("row_digest").str.starts_with(row) for row in which.rows)
        waiting = waiting.filter(named)
    if waiting.is_empty():
        raise UsageError(
            f"No {which.kind} of {which.system!r} wait in quarantine with the code {which.code!r}; "
            "`quaestor quarantine list` says which do."
        )
    return waiting


def _as_they_came(contents: pl.Series, which: Waiting, changes: Mapping[str, str]) -> pl.DataFrame:
    """The rows as text, a column each, as a CSV would hold them."""
    rows = [{name: _text(value) for name, value in json.loads(content).items()} for content in contents]
    names = list(dict.fromkeys(name for row in rows for name in row))
    known = [column.name for column in COLUMNS[_kind(which)]]
    for name in changes:
        refuse_unknown("column", name, {*known, *(name for name in names if name.startswith(FEATURES))})
    ours = which.code in (quarantine.UNKNOWN_DECISION, "early", "conflict")
    times = [column.name for column in COLUMNS[_kind(which)] if column.dtype == TIME and column.name in names]
    frame = pl.DataFrame({name: [row.get(name) for row in rows] for name in names}, strict=False)
    # Rows that the store itself refused carry its own times, which are UTC without a zone.
    frame = frame.with_columns(pl.col(times).str.replace(" ", "T") + "Z") if ours and times else frame
    return frame.with_columns(pl.lit(value).alias(name) for name, value in {"system": which.system, **changes}.items())


def _kind(which: Waiting) -> Kind:
    return next(kind for kind in KINDS if kind == which.kind)


def _text(value: Any) -> str | list[str] | None:
    if value is None:
        return None
    return [str(each) for each in value] if isinstance(value, list) else str(value)
