"""What a load needs, by the figures measured here: the arithmetic of docs/capacity.md, for any load.

Reads the rows in benchmarks/results (or --results) and measures the bytes of a row itself. Every line says what is
needed, what was measured, and how many machines' parts that makes.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path

from benchmarks import Row, options, report
from models.payments.world import PaymentsWorld, WorldParams, decision_log
from quaestor.log.ingest import ingest_file
from quaestor.store import Store

RESULTS = Path(__file__).parent / "results"
HOURS_A_MONTH = 24 * 365.25 / 12
BUSY = 0.5
"""How much of a core or a writer is planned for; the rest is for bursts and for one machine being away."""
NIGHT_HOURS = 6.0
"""Within which a week's or a day's retraining should be done."""


def main() -> None:
    """Prints the plan: by default 10⁹ decisions a month with peaks of five times the mean, and 10⁵ networks a week."""
    parser = options(__doc__)
    parser.add_argument("--decisions", type=float, default=1e9, help="a month")
    parser.add_argument("--peak", type=float, default=5.0, help="decisions a second at the peak, in means")
    parser.add_argument("--networks", type=float, default=1e5, help="retrained a week")
    parser.add_argument("--memory-days", type=float, default=90.0, help="that the store remembers")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of measured rows")
    arguments = parser.parse_args()
    size = bytes_a_round(20_000 if arguments.quick else 200_000)
    rows = [
        *deciding(arguments.decisions, arguments.peak, read(arguments.results, "service_load")),
        *storing(arguments.decisions, arguments.memory_days, size, read(arguments.results, "ingest_rate")),
        *retraining(arguments.networks, read(arguments.results, "scale_out")),
    ]
    report(rows, arguments.json)


def deciding(decisions: float, peak: float, measured: list[Row]) -> list[Row]:
    """Cores that decide: one request a decision, at the peak."""
    wanted = decisions / (HOURS_A_MONTH * 3600) * peak
    best = max(row["requests_per_s"] / row["server_cores"] for row in measured if row["offered_per_s"] == 0)
    return [line("decisions/s at the peak", wanted, best, "a core", math.ceil(wanted / (best * BUSY)), "cores")]


def storing(decisions: float, days: float, size: float, measured: list[Row]) -> list[Row]:
    """Hours of the one writer a day, and the disk."""
    rows_a_day = 2 * decisions / (HOURS_A_MONTH / 24)
    rate = measured[-1]["rows_per_s"]
    disk = decisions / (HOURS_A_MONTH / 24) * days * size
    hours = rows_a_day / rate / 3600
    return [
        line("event rows a day", rows_a_day, rate, "rows/s of one writer", math.ceil(hours * 10) / 10, "hours a day"),
        line("rounds remembered", disk / size, size, "bytes a round on disk", math.ceil(disk / 1e9), "GB"),
    ]


def retraining(networks: float, measured: list[Row]) -> list[Row]:
    """Cores for one week's networks in a night; what one store's writer takes of it in a row."""
    many = max((row for row in measured if row["runner"] == "ray"), key=lambda row: row["networks"])
    core_hours = networks * many["seconds_per_network"] / (1 - many["overhead"]) / 3600
    (writer,) = (row["writer_seconds_per_network"] for row in measured if row["runner"] == "here")
    written = networks * writer / 3600
    return [
        line("networks a week", networks, many["seconds_per_network"], "s a network",
             math.ceil(core_hours / NIGHT_HOURS), f"cores for {NIGHT_HOURS:g} hours"),
        line("of them written", networks, writer, "s of the writer a network",
             math.ceil(written / (NIGHT_HOURS * BUSY)), "stores (or a catalogue with many writers)"),
    ]  # fmt: skip


def bytes_a_round(rounds: int) -> float:
    """Bytes of the store's file for one decision and its outcome, measured on the payments world."""
    world = PaymentsWorld(WorldParams())
    payments = world.payments(rounds, 0, "capacity")
    uniform = payments.eligible / payments.eligible.sum(axis=1, keepdims=True)
    action = payments.eligible.argmax(axis=1)
    with tempfile.TemporaryDirectory() as folder:
        place, store = Path(folder), Store(Path(folder) / "store.duckdb")
        decision_log(payments, uniform, action, "world", "uniform").write_parquet(place / "d.parquet")
        world.outcomes(payments, action, "world").write_parquet(place / "o.parquet")
        ingest_file(store, "decisions", place / "d.parquet")
        ingest_file(store, "outcomes", place / "o.parquet")
        return os.path.getsize(store.path) / rounds


def line(what: str, need: float, measured: float, unit: str, makes: float, of: str) -> Row:
    """One line of the plan."""
    return {"what": what, "need": need, "measured": measured, "unit": unit, "makes": makes, "of": of}


def read(folder: Path, name: str) -> list[Row]:
    """The measured rows of a benchmark."""
    path = folder / f"{name}.json"
    if not path.exists():
        raise SystemExit(f"No figures at {path}; measure them: python -m benchmarks.{name} --json {path}")
    return list(json.loads(path.read_text()))


if __name__ == "__main__":
    main()
