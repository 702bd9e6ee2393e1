"""A policy iteration: one immutable version of a policy, named by the digest of its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from quaestor.atomic import write_folder
from quaestor.clock import utc_now
from quaestor.errors import QuaestorError
from quaestor.registry.canonical import canonical_json, digest_of
from quaestor.store import Store, audit, evidence, iterations
from quaestor.store.audit import Entry

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Inputs:
    """What determines an iteration: equal inputs give an equal iteration, bit for bit, on one kind of machine.

    configuration: the study's own parameters. data: the manifest of what it learns from, with its digest.
    code: the digest of the learning code.
    """

    system: str
    policy: str
    configuration: Mapping[str, Any]
    data: Mapping[str, Any]
    seed: int
    code: str

    def digest(self) -> str:
        """What a flow looks up before it trains again: of the data only its own digest counts, so that looking
        at the same rounds a day later is no new input."""
        return digest_of({**asdict(self), "data": self.data["digest"]})


@dataclass(frozen=True)
class PolicyIteration:
    """A registered iteration; `files` maps each file of its folder to its sha256."""

    iteration_id: str
    parent_id: str | None
    inputs: Inputs
    files: Mapping[str, str]
    folder: Path

    def read(self, name: str) -> bytes:
        """The content of one of its files; raises QuaestorError when it is missing or was changed."""
        path = self.folder / name
        content = path.read_bytes() if path.exists() else b""
        expected = self.iteration_id if name == MANIFEST else self.files.get(name)
        if hashlib.sha256(content).hexdigest() != expected:
            raise QuaestorError(f"{path} is missing or was changed since it was registered; restore it or retrain.")
        return content


def register(
    store: Store,
    data_folder: Path,
    inputs: Inputs,
    files: Mapping[str, bytes],
    parent_id: str | None,
    actor: str,
    learnt: Mapping[str, Any] | None = None,
) -> PolicyIteration:
    """Writes an iteration's files and its row, with evidence from its training by kind (`learnt`) in the same
    transaction; registering the same content again changes nothing."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    manifest = {**asdict(inputs), "parent_id": parent_id, "files": digests}
    iteration_id = digest_of(manifest)
    folder = Path("iterations") / iteration_id
    write_folder(data_folder / folder, {**files, MANIFEST: canonical_json(manifest).encode()})
    with store.write() as connection:
        added = iterations.add(
            connection,
            iteration_id=iteration_id,
            system=inputs.system,
            parent_id=parent_id,
            inputs_digest=inputs.digest(),
            policy=inputs.policy,
            manifest=canonical_json(manifest),
            folder=str(folder),
            created_at=utc_now(),
        )
        if added:
            audit.add(connection, Entry(actor, "register", inputs.system, iteration_id, inputs.policy))
        for kind, content in (learnt or {}).items():
            evidence.add(connection, iteration_id, kind, canonical_json(content))
    return PolicyIteration(iteration_id, parent_id, inputs, digests, data_folder / folder)


def find(store: Store, data_folder: Path, inputs: Inputs) -> PolicyIteration | None:
    """The iteration that these inputs have already given, if any."""
    with store.read() as connection:
        row = iterations.by_inputs(connection, inputs.system, inputs.digest())
    return None if row is None else _iteration(row, data_folder)


def get(store: Store, data_folder: Path, name: str) -> PolicyIteration:
    """The iteration whose id starts with `name`.

    Raises UsageError when there is none or more than one.
    """
    with store.read() as connection:
        row = iterations.by_prefix(connection, name)
    return _iteration(row, data_folder)


def _iteration(row: iterations.Row, data_folder: Path) -> PolicyIteration:
    manifest = json.loads(row.manifest)
    files, parent_id = manifest.pop("files"), manifest.pop("parent_id")
    return PolicyIteration(row.iteration_id, parent_id, Inputs(**manifest), files, data_folder / row.folder)
