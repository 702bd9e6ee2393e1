"""What must become of events, said a second time in the plainest way: dictionaries, one row after another."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from quaestor.store import Connection
from tests.simulation.scheduler import ViolationError

Row = Mapping[str, Any]


class Joiner:
    """Decisions and outcomes as they should stand after the files that were committed so far."""

    def __init__(self) -> None:
        self.decisions: dict[str, Row] = {}
        self.outcomes: dict[tuple[str, int], Row] = {}
        self.refused: dict[str, set[tuple[Any, ...]]] = {}
        self.waiting: dict[tuple[Any, ...], Row] = {}
        self.received: set[tuple[Any, ...]] = set()

    def take(self, kind: str, rows: Sequence[Row]) -> None:
        """A file was committed."""
        if kind == "decisions":
            for row in rows:
                self.decisions.setdefault(row["event_id"], row)
            ready = {key: row for key, row in self.waiting.items() if row["event_id"] in self.decisions}
            for key in ready:
                del self.waiting[key]
            self._enter(list(ready.values()))
        else:
            self.received |= {_content(row) for row in rows}
            bad = [row for row in rows if not 0 <= row["reward"] <= 1]
            for row in bad:
                self._refuse("bad_reward", row)
            self._enter([row for row in rows if row not in bad])

    def _enter(self, rows: Sequence[Row]) -> None:
        known = [row for row in rows if row["event_id"] in self.decisions]
        for row in rows:
            if row["event_id"] not in self.decisions:
                self.waiting[_content(row)] = row
        fit = []
        for row in known:
            if row["observed_at"] < self.decisions[row["event_id"]]["decided_at"]:
                self._refuse("early", row)
            else:
                fit.append(row)
        said: dict[tuple[str, int], set[tuple[Any, ...]]] = {}
        for row in fit:
            said.setdefault(_key(row), set()).add(_content(row))
        for row in fit:
            there = self.outcomes.get(_key(row))
            if len(said[_key(row)]) > 1 or (there is not None and _content(there) != _content(row)):
                self._refuse("conflict", row)
            else:
                self.outcomes[_key(row)] = row

    def _refuse(self, code: str, row: Row) -> None:
        self.refused.setdefault(code, set()).add(_content(row))

    def compare(self, connection: Connection) -> None:
        """Raises ViolationError where the store does not hold exactly this."""
        ids = connection.execute("select event_id from decisions").fetchall()
        _same("2: decisions", Counter(name for (name,) in ids), Counter(self.decisions.keys()))
        stored = connection.execute("select event_id, revision, observed_at, reward from outcomes").fetchall()
        _same("2: outcomes", Counter(stored), Counter(map(_content, self.outcomes.values())))
        rows = connection.execute(
            "select code, content->>'event_id', (content->>'revision')::integer, "
            "(content->>'observed_at')::timestamptz at time zone 'UTC', (content->>'reward')::double "
            "from quarantine where released_at is null"
        ).fetchall()
        expected = {(code, *content) for code, contents in self.refused.items() for content in contents}
        expected |= {("unknown_decision", *content) for content in self.waiting}
        _same("2: quarantine", Counter(rows), Counter(expected))
        lost = self.received - set(stored) - {tuple(row[1:]) for row in rows}
        if lost:
            raise ViolationError(f"2: received, and neither joined nor in quarantine: {sorted(lost)[:3]}")

    def rounds(self, as_of: datetime, window: timedelta, default: float) -> dict[str, float]:
        """The reward that each closed round teaches by its id: of the highest revision in time, or the default."""
        taught = {}
        for event_id, decision in self.decisions.items():
            closes = decision["decided_at"] + window
            if closes <= as_of and not decision.get("fallback"):  # where the policy failed, nothing is learnt
                found = [(key[1], row["reward"]) for key, row in self.outcomes.items()
                         if key[0] == event_id and row["observed_at"] <= closes]  # fmt: skip
                taught[event_id] = max(found)[1] if found else default
        return taught


def rows_of(frame: pl.DataFrame) -> list[Row]:
    """The rows of a file with times in UTC without a zone, as the store keeps them."""
    times = [pl.col(name).dt.replace_time_zone(None) for name in ("decided_at", "observed_at") if name in frame.columns]
    rows = frame.with_columns(times).to_dicts()
    return [{**row, "revision": row.get("revision") or 0} for row in rows]


def _key(row: Row) -> tuple[str, int]:
    return row["event_id"], row["revision"]


def _content(row: Row) -> tuple[Any, ...]:
    return row["event_id"], row["revision"], row["observed_at"], row["reward"]


def _same(what: str, found: Counter[Any], expected: Counter[Any]) -> None:
    if found != expected:
        more, less = found - expected, expected - found
        said = json.dumps([str(list(each.items())[:3]) for each in (more, less)])
        raise ViolationError(f"{what}: more than there should be, and less: {said}")
