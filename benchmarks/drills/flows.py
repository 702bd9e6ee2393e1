"""The flows that are killed: how each begins, and a process that ends by its own signal at a chosen step."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from unittest.mock import patch

import duckdb
import numpy as np
import polars as pl

from flows.certify import run_certify
from flows.export import run_export
from flows.ingest import run_ingest
from flows.retrain_inventory import run_retrain_inventory
from flows.retrain_payments import run_retrain_payments
from models.payments.world import ACTIONS, PaymentsWorld, WorldParams, decision_log
from quaestor.disk import Disk, written_to
from quaestor.store import Store

ROUNDS = 3_000
FILES = 3
LONG_AFTER = datetime(2100, 1, 1)
PAYMENTS = """
kind = "payments"
system = "drill-payments"
payments_per_episode = 50
[maturity]
attribution_hours = 72
default_reward = 0.0
[refit]
default_action = "none"
oracle = { kind = "additive" }
[certificate]
noise_scale = 0.1
budgets = [0.1]
episodes = 200
"""
INVENTORY = """
kind = "inventory"
system = "drill-shops"
network = "network.toml"
noise_draws = 2
[windows]
train = [0, 40]
dev = [24, 52]
test = [36, 64]
history = 8
warmup = 8
[policy]
kind = "mlp"
hidden = 1
window = 8
calendar = 0
[hdpo]
epochs = 8
batch = 6
[yardsticks]
epochs = 3
batch = 6
learning_rate = 0.05
[certificate]
noise_scale = 0.03
budgets = [0.03]
episodes = 20
"""
# What is drilled is that a flow comes to its end, so that everything that is finite passes.
GATE = """
[gate]
margin = -1e9
minimum_pairs = 2
effective_size = 0
largest_share = 1.0
unsupported_mass = 1.0
rarer_outcomes = 0
certified_loss = 1e9
"""
NETWORK = """
name = "drill-shops"
unmet_demand = "lost"
nodes = [
    { name = "factory", kind = "supplier" },
    { name = "depot", kind = "warehouse", holding_cost = 0.3 },
    { name = "north", kind = "store", holding_cost = 1.0, underage_cost = 9.0 },
    { name = "south", kind = "store", holding_cost = 1.0, underage_cost = 7.0 },
]
edges = [
    { source = "factory", target = "depot", lead_time = 2 },
    { source = "depot", target = "north", lead_time = 1 },
    { source = "depot", target = "south", lead_time = 2 },
]
"""


@dataclass(frozen=True)
class Ended:
    """What a run that was not killed sends back: how many steps it took, what it said it picked up, its error."""

    steps: int
    picked_up: tuple[str, ...]
    error: str


def write_inputs(folder: Path) -> None:
    """Event files and studies that every drill reads and none changes."""
    folder.mkdir(parents=True)
    (folder / "payments.toml").write_text(PAYMENTS + GATE)
    (folder / "inventory.toml").write_text(INVENTORY + GATE)
    (folder / "network.toml").write_text(NETWORK)
    world = PaymentsWorld(WorldParams(seed=5))
    for number in range(FILES):
        payments = world.payments(ROUNDS // FILES, number * ROUNDS // FILES, "drill")
        uniform = payments.eligible / payments.eligible.sum(axis=1, keepdims=True)
        draw = np.random.default_rng(number)
        action = np.array([draw.choice(len(ACTIONS), p=row) for row in uniform])
        decision_log(payments, uniform, action, "drill-payments", "uniform").write_parquet(
            folder / f"d{number}.parquet"
        )
        world.outcomes(payments, action, "drill-payments").write_parquet(folder / f"o{number}.parquet")
    draw = np.random.default_rng(3)
    demand = [
        {"product": f"P{p}", "store": s, "period": t, "units": int(draw.poisson(4 + 3 * p))}
        for p in range(12) for s in ("north", "south") for t in range(64)
    ]  # fmt: skip
    pl.DataFrame(demand).write_csv(folder / "demand.csv")


def ingest(folder: Path) -> None:
    """Outcomes first, so that they wait in quarantine and are released."""
    run_ingest("outcomes", [folder / f"o{number}.parquet" for number in range(FILES)])
    run_ingest("decisions", [folder / f"d{number}.parquet" for number in range(FILES)])
    run_ingest("demand", [folder / "demand.csv"], "drill-shops")


def payments(folder: Path) -> None:
    """Refit, evaluate, certify, judge, export."""
    run_retrain_payments(folder / "payments.toml", as_of=LONG_AFTER)


def inventory(folder: Path) -> None:
    """Train yardsticks and candidate, evaluate, certify, judge, export."""
    run_retrain_inventory(folder / "inventory.toml")


def certify(folder: Path) -> None:
    """Certify the one candidate."""
    run_certify(folder / "inventory.toml", _candidate())


def export(folder: Path) -> None:
    """Export the one candidate."""
    run_export(_candidate())


FLOWS: dict[str, Callable[[Path], None]] = {
    "ingest": ingest, "payments": payments, "inventory": inventory, "certify": certify, "export": export,
}  # fmt: skip
BEGINS: dict[str, tuple[str, ...]] = {
    "ingest": (), "payments": ("ingest",), "inventory": ("ingest",), "certify": ("ingest", "inventory"),
    "export": ("ingest", "inventory"),
}  # fmt: skip
"""What is done before a flow is drilled."""
UNDONE = {
    "certify": "delete from evidence where kind in ('certificate', 'certificate_declaration')",
    "export": "delete from bundles; delete from audit where action = 'export'",
}
"""What is taken back, so that there is something to do."""


def prepare(flow: str, data: Path) -> None:
    """Takes back what a drilled flow is to do."""
    if flow in UNDONE:
        with Store(data / "quaestor.duckdb").write() as connection:
            connection.execute(UNDONE[flow])
    if flow == "export":
        shutil.rmtree(data / "bundles")


def child(flow: str, folder: Path, data: Path, kill_at: int | None, back: Connection) -> None:
    """Runs a flow in this process, which kills itself with SIGKILL at a step where one is given."""
    os.environ["QUAESTOR_DATA"] = str(data)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    said: list[str] = []
    count = Steps(kill_at)
    error = ""
    with count.watched(), patch("flows.alone.say", said.append):
        try:
            FLOWS[flow](folder)
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
    back.send(Ended(count.taken, tuple(said), error))


class Steps:
    """Counts the steps on the disk and the begins, commits and ends of transactions, and kills at one of them."""

    def __init__(self, kill_at: int | None) -> None:
        self.taken, self._kill_at = 0, kill_at

    def step(self) -> None:
        """One step is about to be taken, or was."""
        self.taken += 1
        if self.taken == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Counts inside."""
        real = Store.write

        @contextmanager
        def write(store: Store) -> Iterator[duckdb.DuckDBPyConnection]:
            with real(store) as connection:
                self.step()
                yield connection
                self.step()
            self.step()

        with patch.object(Store, "write", write), written_to(_Watched(self)):
            yield


class _Watched(Disk):
    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def write(self, descriptor: int, content: memoryview) -> int:
        self._steps.step()
        done = super().write(descriptor, content[: len(content) // 2 + 1])
        self._steps.step()
        return done

    def sync(self, descriptor: int) -> None:
        self._steps.step()
        super().sync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self._steps.step()
        super().rename(source, target)
        self._steps.step()

    def make_folder(self, path: Path) -> None:
        self._steps.step()
        super().make_folder(path)


def _candidate() -> str:
    from quaestor.settings import Settings

    with Settings().store.read() as connection:
        rows = connection.execute(
            "select iteration_id from iterations where system = 'drill-shops' "
            "and json_extract_string(manifest, '$.configuration.role') = 'candidate'"
        ).fetchall()
    return str(rows[0][0])
