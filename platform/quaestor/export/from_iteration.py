"""Exports a registered iteration with its evidence as a bundle."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from quaestor import __version__
from quaestor.clock import utc_now
from quaestor.errors import GateRefusedError
from quaestor.export.bundle import CARD, CERTIFICATE, EPISODES, EVALUATION, MANIFEST, MATERIALS, Bundle, write_bundle
from quaestor.export.card import model_card
from quaestor.export.input_schema import input_schema
from quaestor.export.materials import bill_of_materials, lock
from quaestor.export.policy import GRAPH, SPEC
from quaestor.export.spec import Spec, read_spec
from quaestor.registry import iteration as registry
from quaestor.registry.canonical import digest_of
from quaestor.registry.certificates import episodes_path
from quaestor.registry.gate import Stage
from quaestor.registry.iteration import PolicyIteration
from quaestor.registry.judging import CERTIFICATE as CERTIFIED
from quaestor.registry.judging import EVALUATION as EVALUATED
from quaestor.store import Store, audit, bundles, evidence, iterations
from quaestor.store.audit import Entry

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

GOLDEN_ROWS = "golden_rows.json"
"""The file of an iteration that holds the inputs of its golden choices."""


def export_iteration(
    store: Store,
    data_folder: Path,
    name: str,
    out: Path,
    actor: str,
    override: str | None = None,
    key: Ed25519PrivateKey | None = None,
) -> tuple[Bundle, bool]:
    """Writes the bundle of the iteration whose id starts with `name` under `out`, signed where a key is given; also
    says whether it is new.

    Raises GateRefusedError unless the gate says promote and there are an evaluation and a certificate;
    `override`, a reason, lets any verdict through, but never a missing certificate.
    """
    iteration = registry.get(store, data_folder, name)
    with store.read() as connection:
        evaluated = evidence.latest(connection, iteration.iteration_id, EVALUATED)
        certified = evidence.latest(connection, iteration.iteration_id, CERTIFIED)
        verdicts = evidence.verdicts(connection).filter(pl.col("iteration_id") == iteration.iteration_id)
        lineage = iterations.listing(connection, iteration.inputs.system).select("iteration_id", "parent_id")
    short = iteration.iteration_id[:12]
    if evaluated is None or certified is None:
        raise GateRefusedError(
            f"{short} has no evaluation or no certificate yet; only certified policies are exported."
        )
    stage = verdicts["stage"][0] if len(verdicts) else None
    if stage != Stage.PROMOTE and override is None:
        why = " ".join(verdicts["reasons"][0]) if len(verdicts) else "There is no verdict yet."
        raise GateRefusedError(f"{short} is not exported: the gate says {stage or 'nothing'!r}. {why}")
    serial, parents = _place(iteration.iteration_id, dict(lineage.iter_rows()))
    spec = read_spec(iteration.read(SPEC), short)
    manifest = json.loads(iteration.read(registry.MANIFEST)) | {
        "iteration_id": iteration.iteration_id,
        "serial": serial,
        "parents": parents,
        "verdict": {"stage": stage, "reasons": list(verdicts["reasons"][0]) if len(verdicts) else []},
        "override": override,
        "inputs": input_schema(spec),
        "quaestor": __version__,
        "lock": lock(),
    }
    episodes = episodes_path(data_folder, certified[1]["costs_digest"]).read_bytes()
    files = _files(iteration, spec, manifest, evaluated[1], certified[1], episodes)
    golden = pl.read_json(io.BytesIO(iteration.read(GOLDEN_ROWS)), infer_schema_length=None)
    # Certifying or evaluating again gives another bundle beside the first, never a changed one.
    folder = out / iteration.inputs.system / f"{short}-{digest_of([evaluated[1], certified[1], manifest])[:8]}"
    bundle = write_bundle(folder, iteration.iteration_id, serial, files, golden, key)
    with store.write() as connection:
        new = bundles.add(connection, bundle.digest, iteration.iteration_id, str(bundle.path), utc_now())
        if new:
            reason = override or "the gate's verdict"
            audit.add(connection, Entry(actor, "export", iteration.inputs.system, iteration.iteration_id, reason))
    return bundle, new


def _place(iteration_id: str, parent_of: Mapping[str, str | None]) -> tuple[int, list[str]]:
    """The serial number of an iteration of its system, from 1, and its parents, the nearest first."""
    parents: list[str] = []
    parent = parent_of[iteration_id]
    while parent is not None and parent not in parents:
        parents.append(parent)
        parent = parent_of.get(parent)
    return list(parent_of).index(iteration_id) + 1, parents


def _files(
    iteration: PolicyIteration, spec: Spec, manifest: Any, evaluation: Any, certificate: Any, episodes: bytes
) -> dict[str, bytes]:
    graph, spec_file = iteration.read(GRAPH), iteration.read(SPEC)
    materials = bill_of_materials(spec.system, iteration.iteration_id, {GRAPH: graph, SPEC: spec_file})
    return {
        GRAPH: graph,
        SPEC: spec_file,
        MANIFEST: _json(manifest),
        EVALUATION: _json(evaluation),
        CERTIFICATE: _json(certificate),
        EPISODES: episodes,
        CARD: model_card(spec, manifest, evaluation, certificate),
        MATERIALS: materials,
    }


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
