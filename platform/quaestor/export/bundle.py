"""A bundle: a folder with a certified policy and everything needed to check it before it decides."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from quaestor.atomic import write_folder
from quaestor.errors import QuaestorError
from quaestor.export.golden import golden_choices, replay
from quaestor.export.policy import GRAPH, SPEC, Policy, load_policy

MANIFEST, CERTIFICATE, EVALUATION = "manifest.json", "certificate.json", "evaluation.json"
GOLDEN, EPISODES, CHECKSUMS = "golden.json", "episodes.f64", "checksums.json"
REQUIRED = (GRAPH, SPEC, MANIFEST, CERTIFICATE, EVALUATION, GOLDEN, EPISODES)


@dataclass(frozen=True)
class Bundle:
    """A bundle that has been checked: its folder, digest, iteration, policy and parsed files."""

    folder: Path
    digest: str
    iteration_id: str
    policy: Policy
    manifest: Mapping[str, Any]


def write_bundle(folder: Path, iteration_id: str, files: Mapping[str, bytes], golden_rows: pl.DataFrame) -> Bundle:
    """Writes a bundle and opens it again; it appears under `folder` only after its replay has agreed.

    files holds every required file but the golden choices, which are made here. A bundle that is there already is
    only checked.
    """
    if not folder.exists():
        policy = load_policy(files[GRAPH], files[SPEC], str(folder))
        content = {**files, GOLDEN: golden_choices(policy, golden_rows, iteration_id)}
        sums = {name: hashlib.sha256(part).hexdigest() for name, part in sorted(content.items())}
        content[CHECKSUMS] = json.dumps({"iteration_id": iteration_id, "files": sums}, indent=1).encode()
        folder.parent.mkdir(parents=True, exist_ok=True)
        trial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".trial."))
        try:
            write_folder(trial / folder.name, content)
            open_bundle(trial / folder.name)
            write_folder(folder, content)
        finally:
            shutil.rmtree(trial, ignore_errors=True)
    return open_bundle(folder)


def open_bundle(folder: Path) -> Bundle:
    """Checks a bundle and loads its policy: every file's digest first, then the golden replay.

    Raises QuaestorError, with one sentence, for anything missing, added, changed or not reproduced.
    """
    if not folder.is_dir():
        raise QuaestorError(f"No bundle at {folder}; give the folder that `quaestor export` printed.")
    sums, digest = _checksums(folder)
    expected = sums["files"]
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()} - {CHECKSUMS}
    for name in sorted(set(REQUIRED) - set(expected)):
        raise QuaestorError(f"{folder}: {CHECKSUMS} does not list {name}; the bundle is not complete.")
    for name in sorted(present ^ set(expected)):
        what = "is not listed in" if name in present else "is missing but listed in"
        raise QuaestorError(f"{folder}: {name} {what} {CHECKSUMS}; the bundle was changed. Export it again.")
    files = {name: (folder / name).read_bytes() for name in expected}
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != expected[name]:
            raise QuaestorError(
                f"{folder}: {name} does not match its checksum; the bundle was changed. Export it again."
            )
    policy = load_policy(files[GRAPH], files[SPEC], str(folder))
    replay(policy, files[GOLDEN], sums["iteration_id"], str(folder))
    return Bundle(folder, digest, sums["iteration_id"], policy, json.loads(files[MANIFEST]))


def _checksums(folder: Path) -> tuple[dict[str, Any], str]:
    path = folder / CHECKSUMS
    if not path.exists():
        raise QuaestorError(f"{folder}: {CHECKSUMS} is missing; this is not a whole bundle.")
    content = path.read_bytes()
    try:
        sums = json.loads(content)
        names, iteration_id = sums["files"], sums["iteration_id"]
        if not all(isinstance(part, str) for entry in names.items() for part in entry) or not iteration_id:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise QuaestorError(
            f"{folder}: {CHECKSUMS} is not readable; the bundle was changed. Export it again."
        ) from None
    if any("/" in name or "\\" in name or name.startswith(".") for name in names):
        raise QuaestorError(f"{folder}: {CHECKSUMS} lists a name outside the bundle; it was changed.")
    return sums, hashlib.sha256(content).hexdigest()
