"""What the runtime costs: one decision from a mapping to its record, and many from a frame to theirs."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks import Row, options, report, seconds
from benchmarks.decision_latency import world_graph
from models.payments.oracles.additive import AdditiveParams
from models.payments.oracles.boosted import BoostedParams
from models.payments.oracles.embedding import EmbeddingParams
from models.payments.oracles.fit import OracleParams
from models.payments.oracles.logistic import LogisticParams
from models.payments.world import ACTIONS, PaymentsWorld, WorldParams
from quaestor.export.bundle import CARD, CERTIFICATE, EPISODES, EVALUATION, MANIFEST, MATERIALS, Bundle, write_bundle
from quaestor.export.input_schema import input_schema
from quaestor.export.policy import GRAPH, SPEC
from quaestor.export.runtime import Runtime
from quaestor.export.spec import spec_json

POLICIES: dict[str, tuple[OracleParams, float]] = {
    "logistic": (LogisticParams(), 0.1),
    "logistic, not smoothed": (LogisticParams(), 0.0),
    "additive": (AdditiveParams(), 0.1),
    "embedding": (EmbeddingParams(epochs=1), 0.1),
    "boosted": (BoostedParams(), 0.1),
}


def main() -> None:
    """Rows: policy, p50_us and p99_us of one decision with features, eligible set and full record, decisions_per_s
    of a frame of 200,000 (20,000 with --quick) to its records; 8 actions, 6 numbers, 4 categories, one thread."""
    arguments = options(__doc__).parse_args()
    many, singles = (20_000, 3_000) if arguments.quick else (200_000, 20_000)
    world = PaymentsWorld(WorldParams())
    rows = world_rows(world, many)
    with tempfile.TemporaryDirectory() as folder:
        measured = []
        for name, (params, noise_scale) in POLICIES.items():
            runtime = Runtime(evidenceless_bundle(Path(folder) / name, world, params, noise_scale))
            measured.append(_measure(name, runtime, rows, singles))
    report(measured, arguments.json)


def evidenceless_bundle(
    folder: Path,
    world: PaymentsWorld,
    params: OracleParams,
    noise_scale: float,
    serial: int = 1,
    key: Ed25519PrivateKey | None = None,
) -> Bundle:
    """A whole bundle of a policy fitted to a world, but for its evidence, which is empty."""
    graph, spec = world_graph(world, params, noise_scale)
    iteration_id = hashlib.sha256(graph + bytes([serial])).hexdigest()
    subject = {"system": spec.system, "runner_digest": hashlib.sha256(graph).hexdigest()}
    files = {
        GRAPH: graph,
        SPEC: spec_json(spec),
        MANIFEST: _json({"iteration_id": iteration_id, "serial": serial, "inputs": input_schema(spec)}),
        CERTIFICATE: _json({"subject": subject, "expires_at": "none"}),
        EVALUATION: b"{}",
        EPISODES: b"",
        CARD: b"",
        MATERIALS: b"{}",
    }
    return write_bundle(folder, iteration_id, serial, files, world_rows(world, 16), key)


def world_rows(world: PaymentsWorld, count: int) -> pl.DataFrame:
    """Payments as rows to decide."""
    payments = world.payments(count, 0, "bench")
    eligible = [[ACTIONS[k] for k in np.flatnonzero(row)] for row in payments.eligible]
    return payments.context().with_columns(
        pl.Series("event_id", payments.event_ids),
        pl.Series("eligible", eligible),
        decided_at=pl.lit("2026-01-01T00:00:00Z"),
    )


def _measure(name: str, runtime: Runtime, rows: pl.DataFrame, singles: int) -> Row:
    single = rows.drop("decided_at").head(singles).to_dicts()
    for row in single[:500]:
        runtime.decide(row)
    taken = []
    for row in single:
        start = time.perf_counter()
        runtime.decide(row)
        taken.append(time.perf_counter() - start)
    p50, p99 = np.quantile(taken, (0.5, 0.99)) * 1e6
    whole = seconds(lambda: runtime.decide(rows))
    return {"policy": name, "p50_us": float(p50), "p99_us": float(p99), "decisions_per_s": len(rows) / whole}


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


if __name__ == "__main__":
    main()
