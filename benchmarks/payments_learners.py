"""Learners on a payments log: how much of the gap from uniform to optimal they close, how fast, in how much memory.

`--log DIR` names a folder with train.parquet (x0…, c0…, action, propensity, reward, ts, event_id) and test.npz (X, C
and P, the true reward of each action); without it a log of the payments world is made. The log is first ingested into
a store; each learner is then trained from that store, end to end, in a process of its own. `--peers PYTHON` adds the
learners of benchmarks/peers/payments_learners.py, run by a Python that has them (benchmarks/peers/requirements.txt).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import Row, options, peak_bytes, report
from models.payments.features import FeatureParams
from models.payments.oracles.additive import AdditiveParams
from models.payments.stream import Streamed, fit_from_store, training_set_from_store
from quaestor.export.encoding import encode
from quaestor.log.ingest import ingest_file
from quaestor.store import Store
from quaestor.store.training import TrainingWindow

SYSTEM = "payments-log"
WINDOW = TrainingWindow(SYSTEM, as_of=datetime(2100, 1, 1), attribution_hours=24.0, default_reward=0.0)
ADDITIVE = {"additive": AdditiveParams(), "additive_fast": AdditiveParams(sweeps=1, terms=0, head=0.125)}
OTHERS = ("logistic", "ridge", "ensemble", "embedding", "boosted")
PART = 200_000


def main() -> None:
    """Rows: learner, share_of_gap (%, greedy, on the test contexts), train_rows_per_s (from the store to the fitted
    oracle), peak_bytes of the training process, brier (expected, over all actions of the test contexts)."""
    parser = options(__doc__)
    parser.add_argument("--log", type=Path, help="a folder with train.parquet and test.npz")
    parser.add_argument("--oracle", choices=[*ADDITIVE, *OTHERS], help="one learner; by default the additive ones")
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help="a Python that has the peers")
    arguments = parser.parse_args()
    learners = [arguments.oracle] if arguments.oracle else [*ADDITIVE]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = arguments.log or _in_own_process(write_world_log, folder / "log", 50_000 if arguments.quick else 200_000)
        store = folder / "store.duckdb"
        _in_own_process(ingest_log, log, store, 100_000 if arguments.quick else None)
        rows = [_in_own_process(measure, learner, log, store) for learner in learners]
        rows += _peers(arguments, log)
    report(rows, arguments.json)


def ingest_log(log: Path, store: Path, rows: int | None) -> None:
    """Brings train.parquet into a store, part by part, as decisions and outcomes."""
    frame = pl.read_parquet(log / "train.parquet", n_rows=rows)
    actions = _names(np.load(log / "test.npz")["P"].shape[1])
    numeric = [name for name in frame.columns if name[0] == "x" and name[1:].isdigit()]
    category = [name for name in frame.columns if name[0] == "c" and name[1:].isdigit()]
    shared = (pl.lit(SYSTEM).alias("system"), pl.format("e{}", pl.col("event_id").cast(pl.String).str.zfill(10)))
    decided = (pl.datetime(2026, 1, 1, time_zone="UTC") + pl.duration(seconds=pl.col("ts"))).cast(
        pl.Datetime("us", "UTC")
    )
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(frame), PART):
            part = frame[start : start + PART]
            files = {kind: Path(folder) / f"{kind}-{start}.parquet" for kind in ("decisions", "outcomes")}
            part.select(
                *(expression.alias(name) for expression, name in zip(shared, ("system", "event_id"), strict=True)),
                decided.alias("decided_at"),
                pl.lit("logger").alias("iteration_id"),
                pl.lit(actions).alias("eligible"),
                pl.lit(pl.Series(actions)).gather(pl.col("action").cast(pl.Int64)).alias("action"),
                pl.col("propensity").cast(pl.Float64).clip(upper_bound=1.0),
                *(pl.col(name).cast(pl.Float64).alias(f"numeric_{name}") for name in numeric),
                *(pl.col(name).cast(pl.String).alias(f"category_{name}") for name in category),
            ).write_parquet(files["decisions"])
            part.select(
                shared[0],
                shared[1].alias("event_id"),
                (decided + pl.duration(hours=1)).alias("observed_at"),
                pl.col("reward").cast(pl.Float64),
            ).write_parquet(files["outcomes"])
            for kind, path in files.items():
                ingest_file(Store(store), kind, path)


def measure(learner: str, log: Path, store: Path) -> Row:
    """Trains one learner from the store and measures it on the test contexts."""
    with Store(store).read() as connection:
        connection.execute("select ?", [0])  # DuckDB imports pandas, where there is one, at its first parameter
    start = time.perf_counter()
    fitted = _train(learner, Store(store))
    taken = time.perf_counter() - start
    peak = peak_bytes()
    test = np.load(log / "test.npz")
    context = pl.DataFrame(
        {f"numeric_x{k}": column for k, column in enumerate(test["X"].T)}
        | {f"category_c{k}": pl.Series(column).cast(pl.String) for k, column in enumerate(test["C"].T)}
    )
    truth = test["P"].astype(np.float64)
    names = _names(truth.shape[1])
    scores = np.full(truth.shape, -np.inf)
    scores[:, [names.index(action) for action in fitted.actions]] = fitted.oracle.predict(
        encode(fitted.features, context)
    )
    known = np.isfinite(scores)
    error = np.square(scores[known] - truth[known]) + truth[known] * (1 - truth[known])
    return {
        "learner": learner,
        "share_of_gap": share_of_gap(truth, scores),
        "train_rows_per_s": fitted.rounds / taken,
        "peak_bytes": peak,
        "brier": float(error.mean()),
    }


def share_of_gap(truth: np.ndarray, scores: np.ndarray) -> float:
    """100 (V(greedy) − V(uniform)) / (V(optimal) − V(uniform)); truth and scores (round, action)."""
    greedy = truth[np.arange(len(truth)), scores.argmax(axis=1)].mean()
    return float(100 * (greedy - truth.mean()) / (truth.max(axis=1).mean() - truth.mean()))


def write_world_log(folder: Path, rounds: int) -> Path:
    """Writes a log of the payments world in the same format, explored evenly, every action eligible."""
    from models.payments.world import PaymentsWorld, WorldParams

    folder.mkdir()
    world = PaymentsWorld(WorldParams())
    payments, fresh = world.payments(rounds, 0, "log"), world.payments(50_000, rounds, "test")
    draw = np.random.default_rng(0)
    chance = world.success(payments)
    action = draw.integers(0, chance.shape[1], rounds)
    reward = draw.random(rounds) < chance[np.arange(rounds), action]
    columns = {f"x{k}": column for k, column in enumerate(payments.numeric.T.astype(np.float32))}
    categories = (payments.merchant, payments.issuer, payments.scheme, payments.channel)
    columns |= {f"c{k}": column for k, column in enumerate(categories)}
    columns |= {"action": action, "propensity": np.full(rounds, 1 / chance.shape[1]), "reward": reward.astype(np.int8)}
    columns |= {"ts": np.arange(rounds), "event_id": np.arange(rounds)}
    pl.DataFrame(columns).write_parquet(folder / "train.parquet")
    codes = np.stack((fresh.merchant, fresh.issuer, fresh.scheme, fresh.channel), axis=1)
    np.savez(folder / "test.npz", X=fresh.numeric.astype(np.float32), C=codes, P=world.success(fresh))
    return folder


def _train(learner: str, store: Store) -> Streamed:
    if learner in ADDITIVE:
        return fit_from_store(store, WINDOW, ADDITIVE[learner], FeatureParams())
    from models.payments.oracles.fit import PARAMS, fit_oracle

    training, actions = training_set_from_store(store, WINDOW, FeatureParams())
    oracle = fit_oracle(PARAMS[learner](), training, seed=0)
    return Streamed(oracle, training.features, actions, len(training))


def _names(actions: int) -> list[str]:
    return [f"a{number:03d}" for number in range(actions)]


def _peers(arguments: argparse.Namespace, log: Path) -> list[Row]:
    if arguments.peers is None:
        return []
    script = Path(__file__).parent / "peers" / "payments_learners.py"
    limit = ["--rows", "100000"] if arguments.quick else []
    done = subprocess.run([arguments.peers, script, log, *limit], check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _in_own_process(work, *arguments):  # type: ignore[no-untyped-def]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:  # says so where the process dies
        return pool.submit(work, *arguments).result()


if __name__ == "__main__":
    main()
