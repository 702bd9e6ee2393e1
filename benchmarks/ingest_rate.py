"""Rows a second from a parquet file into the store, contracts on, against reading the file alone.

Rows of kind decisions, outcomes and demand enter an empty store; decisions also one that holds many rows already. Every
measurement is a process of its own, so that `peak_bytes` is its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import Row, options, peak_bytes, report
from models.payments.world import ACTIONS, PaymentsWorld, WorldParams, decision_log
from quaestor.log.ingest import ingest_file
from quaestor.store import Store

BLOCK = 250_000
"""Rounds of the world that are drawn at once; longer files repeat them under other ids, at later times."""


def main() -> None:
    """`stored` rows are there before; `share_of_read` is the time of reading the file over that of ingest."""
    parser = options(__doc__ or "")
    parser.add_argument("--one", nargs=3, metavar=("KIND", "FILE", "STORE"), help="measure one file, as JSON")
    arguments = parser.parse_args()
    if arguments.one:
        kind, path, store = arguments.one
        print(json.dumps(_measure(kind, Path(path), Path(store))))
        return
    rows = 250_000 if arguments.quick else 1_000_000
    many = 500_000 if arguments.quick else 10_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = []
        for kind, size, store, stored in (
            ("decisions", rows, "empty", 0),
            ("decisions", many, "full", 0),
            ("decisions", rows, "full", many),
            ("outcomes", many, "full", many),
            ("demand", rows, "demand", 0),
        ):
            path = _written(folder, kind, size, first=stored if kind == "decisions" else 0)
            command = [sys.executable, "-m", "benchmarks.ingest_rate", "--one", kind, str(path), str(folder / store)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append({"kind": kind, "rows": size, "stored": stored, **json.loads(done.stdout)})
            path.unlink()
    report(found, arguments.json)


def _measure(kind: str, path: Path, store: Path) -> Row:
    """Reads the file, then ingests it; the peak is that of both."""
    file = store.with_suffix(".duckdb")
    with Store(file).write():
        pass
    rows = pl.scan_parquet(path).select(pl.len()).collect().item()
    start, processor = time.perf_counter(), time.process_time()
    summary = ingest_file(Store(file), kind, path)
    taken, processor = time.perf_counter() - start, time.process_time() - processor
    assert summary.added == rows, summary.sentence()
    peak = peak_bytes()
    start = time.perf_counter()
    for first in range(0, rows, BLOCK):
        pl.scan_parquet(path).slice(first, BLOCK).collect()
    read = time.perf_counter() - start
    return {
        "actions": len(ACTIONS),
        "rows_per_s": rows / taken,
        "processor_us_per_row": processor / rows * 1e6,
        "share_of_read": read / taken,
        "peak_bytes": peak,
        "store_bytes": file.stat().st_size,
    }


def _written(folder: Path, kind: str, rows: int, first: int) -> Path:
    """A file of so many rows whose ids go on from `first`."""
    path = folder / f"{kind}.parquet"
    numbers = np.arange(first, first + rows)
    if kind == "demand":
        demand = pl.DataFrame({"product": numbers // 2000, "period": (numbers % 2000).astype(np.int32)})
        demand.select(
            pl.lit("shops").alias("system"), pl.format("P{}", "product").alias("product"),
            pl.lit("S").alias("store"), "period", pl.lit(3.0).alias("units"),
        ).write_parquet(path)  # fmt: skip
        return path
    block = _block() if kind == "decisions" else pl.DataFrame({"decided_at": _block()["decided_at"]})
    parts = []
    for start in range(0, rows, BLOCK):
        some = block.head(min(BLOCK, rows - start))
        later = pl.duration(days=40 * ((first + start) // BLOCK))
        ids = pl.Series("event_id", [f"{n:09d}" for n in range(first + start, first + start + len(some))])
        if kind == "outcomes":
            observed = pl.col("decided_at") + later + pl.duration(hours=1)
            some = some.select(
                pl.lit("bench").alias("system"), ids, observed.alias("observed_at"),
                pl.lit(1.0).alias("reward"),
            )  # fmt: skip
        else:
            some = some.with_columns(ids, pl.col("decided_at") + later)
        part = folder / f"part-{start}.parquet"
        some.write_parquet(part)
        parts.append(part)
    pl.scan_parquet(parts).sink_parquet(path)
    for part in parts:
        part.unlink()
    return path


def _block() -> pl.DataFrame:
    """Decisions of the payments world with full propensities."""
    payments = PaymentsWorld(WorldParams()).payments(BLOCK, 0, "bench")
    uniform = payments.eligible / payments.eligible.sum(axis=1, keepdims=True)
    return decision_log(payments, uniform, payments.eligible.argmax(axis=1), "bench", "uniform")


if __name__ == "__main__":
    main()
