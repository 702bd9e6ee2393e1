"""Exports a registered iteration with its evidence as a bundle."""

from __future__ import annotations

import io
import json
from pathlib import Path

import polars as pl

from quaestor.clock import utc_now
from quaestor.errors import GateRefusedError
from quaestor.export.bundle import CERTIFICATE, EPISODES, EVALUATION, MANIFEST, Bundle, write_bundle
from quaestor.export.policy import GRAPH, SPEC
from quaestor.registry import iteration as registry
from quaestor.registry.canonical import digest_of
from quaestor.registry.certificates import episodes_path
from quaestor.registry.gate import Stage
from quaestor.registry.judging import CERTIFICATE as CERTIFIED
from quaestor.registry.judging import EVALUATION as EVALUATED
from quaestor.store import Store, audit, bundles, evidence
from quaestor.store.audit import Entry

GOLDEN_ROWS = "golden_rows.json"
"""The file of an iteration that holds the inputs of its golden choices."""


def export_iteration(
    store: Store, data_folder: Path, name: str, out: Path, actor: str, override: str | None = None
) -> tuple[Bundle, bool]:
    """Writes the bundle of the iteration whose id starts with `name` under `out`; also says whether it is new.

    Raises GateRefusedError unless the gate says promote and there are an evaluation and a certificate;
    `override`, a reason, lets any verdict through, but never a missing certificate.
    """
    iteration = registry.get(store, data_folder, name)
    with store.read() as connection:
        evaluated = evidence.latest(connection, iteration.iteration_id, EVALUATED)
        certified = evidence.latest(connection, iteration.iteration_id, CERTIFIED)
        verdicts = evidence.verdicts(connection).filter(pl.col("iteration_id") == iteration.iteration_id)
    short = iteration.iteration_id[:12]
    if evaluated is None or certified is None:
        raise GateRefusedError(
            f"{short} has no evaluation or no certificate yet; only certified policies are exported."
        )
    stage = verdicts["stage"][0] if len(verdicts) else None
    if stage != Stage.PROMOTE and override is None:
        why = " ".join(verdicts["reasons"][0]) if len(verdicts) else "There is no verdict yet."
        raise GateRefusedError(f"{short} is not exported: the gate says {stage or 'nothing'!r}. {why}")
    manifest = json.loads(iteration.read(registry.MANIFEST)) | {
        "iteration_id": iteration.iteration_id,
        "verdict": {"stage": stage, "reasons": list(verdicts["reasons"][0]) if len(verdicts) else []},
        "override": override,
    }
    files = {
        GRAPH: iteration.read(GRAPH),
        SPEC: iteration.read(SPEC),
        MANIFEST: _json(manifest),
        EVALUATION: _json(evaluated[1]),
        CERTIFICATE: _json(certified[1]),
        EPISODES: episodes_path(data_folder, certified[1]["costs_digest"]).read_bytes(),
    }
    golden = pl.read_json(io.BytesIO(iteration.read(GOLDEN_ROWS)), infer_schema_length=None)
    # Certifying or evaluating again gives another bundle beside the first, never a changed one.
    folder = out / iteration.inputs.system / f"{short}-{digest_of([evaluated[1], certified[1], manifest])[:8]}"
    bundle = write_bundle(folder, iteration.iteration_id, files, golden)
    with store.write() as connection:
        new = bundles.add(connection, bundle.digest, iteration.iteration_id, str(bundle.folder), utc_now())
        if new:
            reason = override or "the gate's verdict"
            audit.add(connection, Entry(actor, "export", iteration.inputs.system, iteration.iteration_id, reason))
    return bundle, new


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
