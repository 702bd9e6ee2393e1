"""Rows a second from a parquet file into the store, contracts on, against reading the file alone."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl

from benchmarks import options, peak_bytes, report, seconds
from models.payments.world import ACTIONS, PaymentsWorld, WorldParams, decision_log
from quaestor.log.ingest import ingest_file
from quaestor.store import Store


def main() -> None:
    """Measures ingest of decisions at a few sizes; `share_of_read` is the time of reading over that of ingest."""
    arguments = options(__doc__).parse_args()
    sizes = (20_000, 50_000) if arguments.quick else (50_000, 200_000, 500_000)
    world = PaymentsWorld(WorldParams())
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "decisions.parquet"
            payments = world.payments(size, 0, "bench")
            uniform = payments.eligible / payments.eligible.sum(axis=1, keepdims=True)
            decision_log(payments, uniform, payments.eligible.argmax(axis=1), "bench", "uniform").write_parquet(path)
            read = seconds(lambda path=path: pl.read_parquet(path))  # type: ignore[misc]
            taken = seconds(lambda path=path: _ingest(path), repeats=2)  # type: ignore[misc]
        rows.append(
            {
                "rows": size,
                "actions": len(ACTIONS),
                "rows_per_s": size / taken,
                "share_of_read": read / taken,
                "peak_bytes": peak_bytes(),
            }
        )
    report(rows, arguments.json)


def _ingest(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ingest_file(Store(Path(folder) / "store.duckdb"), "decisions", path)


if __name__ == "__main__":
    main()
