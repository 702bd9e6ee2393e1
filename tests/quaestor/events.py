"""Small event files for tests: decisions and outcomes as frames, written as parquet or CSV."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

START = datetime(2026, 3, 1, tzinfo=UTC)


def decision(number: int, **changes: Any) -> dict[str, Any]:
    """A good decision, numbered; keyword arguments replace its columns."""
    row: dict[str, Any] = {
        "system": "shop",
        "event_id": f"e{number:05d}",
        "decided_at": START + timedelta(minutes=number),
        "iteration_id": "rule",
        "eligible": ["card", "token"],
        "propensities": [0.25, 0.75],
        "action": "token" if number % 4 else "card",
        "propensity": 0.75 if number % 4 else 0.25,
        "numeric_amount": float(number % 7),
        "category_issuer": f"I{number % 3}",
    }
    return {**row, **changes}


def outcome(number: int, hours: float = 1.0, **changes: Any) -> dict[str, Any]:
    """An outcome of the decision with this number, so many hours after it."""
    row: dict[str, Any] = {
        "system": "shop",
        "event_id": f"e{number:05d}",
        "observed_at": START + timedelta(minutes=number, hours=hours),
        "reward": float(number % 2),
    }
    return {**row, **changes}


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    """Writes rows as parquet and returns the path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    return path
