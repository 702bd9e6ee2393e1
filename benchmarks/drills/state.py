"""The content of a store apart from times, so that two runs can be compared row by row."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from quaestor.store import Store

_COLUMNS = {
    "decisions": "* exclude (file_digest)",
    "outcomes": "* exclude (file_digest)",
    "demand": "* exclude (file_digest)",
    "quarantine": "system, kind, code, content",
    "ingested_files": "digest, name, format",
    "iterations": "iteration_id, system, parent_id, policy",
    "evidence": "iteration_id, kind, incumbent_id, content",
    "verdicts": "iteration_id, incumbent_id, stage, reasons",
    "bundles": "iteration_id",
    "live": "system, iteration_id",
    "audit": "actor, action, system, iteration_id, previous_id, reason",
}
_TIMES = ("issued_at", "expires_at", "declared_at")


def content(data: Path) -> Counter[str]:
    """Every row of every table as text, without when it was written; evidence without the times in it."""
    rows: Counter[str] = Counter()
    with Store(data / "quaestor.duckdb").read() as connection:
        for table, columns in _COLUMNS.items():
            for row in connection.execute(f"select {columns} from {table}").fetchall():
                rows[f"{table} {_timeless(row) if table == 'evidence' else row}"] += 1
    return rows


def left_behind(data: Path) -> bool:
    """Whether a run was killed while it held a lease."""
    with Store(data / "quaestor.duckdb").read() as connection:
        return bool(connection.execute("select 1 from leases").fetchall())


def _timeless(row: tuple[str, str, str | None, str]) -> tuple[str, str, str | None, str]:
    iteration_id, kind, incumbent_id, text = row
    return iteration_id, kind, incumbent_id, json.dumps(_stripped(json.loads(text)), sort_keys=True)


def _stripped(value: object) -> object:
    if isinstance(value, dict):
        return {key: _stripped(each) for key, each in value.items() if key not in _TIMES}
    return [_stripped(each) for each in value] if isinstance(value, list) else value
