"""Reads rows to decide and writes decisions."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import polars as pl

from quaestor.atomic import write_file
from quaestor.errors import QuaestorError, UsageError


def read_rows(path: Path) -> pl.DataFrame:
    """Rows from a parquet, CSV or JSON (list of objects) file.

    Raises UsageError for a missing file or another ending, QuaestorError for one that cannot be read.
    """
    readers: dict[str, Callable[[Path], pl.DataFrame]] = {
        ".parquet": pl.read_parquet,
        ".csv": pl.read_csv,
        ".json": pl.read_json,
    }
    if not path.exists():
        raise UsageError(f"No file at {path}.")
    if path.suffix not in readers:
        raise UsageError(f"{path.name}: expected a .parquet, .csv or .json file.")
    try:
        return readers[path.suffix](path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise QuaestorError(
            f"{path.name} cannot be read ({str(error).splitlines()[0]}); it may be truncated."
        ) from None


def written_rows(rows: pl.DataFrame, out: Path, name: str) -> Path:
    """Writes rows as parquet and returns the file; a reader sees the whole file or none.

    out is a file where it ends in .parquet, and otherwise a folder, in which the file is called `name`. Raises
    QuaestorError where nothing can be written there.
    """
    path = out if out.suffix == ".parquet" else out / f"{name}.parquet"
    buffer = io.BytesIO()
    rows.write_parquet(buffer)
    try:
        write_file(path, buffer.getvalue())
    except OSError as error:
        raise QuaestorError(f"{path} cannot be written: {error.strerror}.") from None
    return path
