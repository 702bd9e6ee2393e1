"""Turns a journal of records into a parquet file in the format that ingest takes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl

from quaestor.atomic import write_file
from quaestor.errors import QuaestorError

Kind = Literal["decisions", "outcomes", "orders", "draws"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_TIMES = ("decided_at", "observed_at")
_NUMBERS, _TABLE, _NAMES = pl.List(pl.Float64), pl.List(pl.List(pl.Float64)), pl.List(pl.String)
_TYPES: dict[str, Any] = {
    "eligible": _NAMES, "propensities": _NUMBERS, "propensity": pl.Float64, "fallback": pl.Boolean,
    "reward": pl.Float64, "revision": pl.Int32, "seed": pl.UInt64, "noise": _NUMBERS,
    "period": pl.Int64, "sources": _NAMES, "targets": _NAMES, "units": _NUMBERS,
    "on_hand": _NUMBERS, "in_transit": _TABLE, "past_demand": _TABLE, "calendar": _NUMBERS, "scale": _NUMBERS,
    "holding_cost": _NUMBERS, "underage_cost": _NUMBERS, "unit_cost": _NUMBERS, "lead_time": _NUMBERS,
    "noise_on_hand": _NUMBERS, "noise_in_transit": _TABLE, "noise_past_demand": _TABLE,
}  # fmt: skip


def seal(journal: Path, folder: Path) -> Path | None:
    """Writes `folder`/KIND/NAME.parquet for the journal KIND-NAME.jsonl, then removes the journal.

    The same journal gives the same file. A line that a crash cut off is left out; None where no whole line is left.
    """
    kind, _, name = journal.stem.partition("-")
    content = journal.read_bytes()
    content = content[: content.rfind(b"\n") + 1]
    path = folder / kind / f"{name}.parquet" if content else None
    if path is not None:
        buffer = io.BytesIO()
        _frame(content, str(journal)).write_parquet(buffer)
        write_file(path, buffer.getvalue())
    journal.unlink()
    return path


def _frame(content: bytes, where: str) -> pl.DataFrame:
    """The records of a journal, all of which have the columns of the first."""
    schema = {name: _type(name) for name in json.loads(content[: content.index(b"\n")])}
    try:
        frame = pl.read_ndjson(io.BytesIO(content), schema=schema)
    except pl.exceptions.PolarsError as error:
        raise QuaestorError(f"{where} cannot be read: {str(error).splitlines()[0]}") from None
    times = [pl.col(n).str.to_datetime(time_unit="us", time_zone="UTC") for n in _TIMES if n in schema]
    return frame.with_columns(times)


def _type(name: str) -> Any:
    return _TYPES.get(name, pl.Float64 if name.startswith("numeric_") else pl.String)
