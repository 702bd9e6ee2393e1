"""Whether everything on record is there and whole: iterations, bundles and the episodes of certificates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from quaestor.errors import QuaestorError
from quaestor.export.bundle import open_bundle
from quaestor.export.contents import ARCHIVE, archive_bytes, read_contents
from quaestor.registry.certificates import episodes_path
from quaestor.registry.iteration import MANIFEST
from quaestor.registry.judging import CERTIFICATE
from quaestor.store import Store, bundles, evidence, iterations


def damages(store: Store, data_folder: Path) -> list[str]:
    """What is on record and missing, or lies there under its final name and is not whole, one sentence each.

    Reads every file once. Raises StoreDamagedError where the store itself cannot be opened.
    """
    with store.read() as connection:
        registered = iterations.listing(connection)["iteration_id"].to_list()
        exported = bundles.listing(connection)["folder"].to_list()
        certified = [json.loads(content) for content in evidence.of_kind(connection, CERTIFICATE)["content"]]
    found = [
        *(f"Iteration {name[:12]} is on record and its folder is gone."
          for name in registered if not (data_folder / "iterations" / name).is_dir()),
        *(f"The bundle {folder} is on record and gone." for folder in exported if not Path(folder).is_dir()),
        *(f"The archive of the bundle {folder} is gone; export the iteration again."
          for folder in exported if Path(folder).is_dir() and not Path(folder + ARCHIVE).exists()),
    ]  # fmt: skip
    for folder in _visible(data_folder / "iterations"):
        found += [f"{folder}/{name} is missing or was changed." for name in _changed(folder)]
    for system in _visible(data_folder / "bundles"):
        for folder in (path for path in _visible(system) if path.is_dir()):
            found += _bundle_damages(folder)
    for digest in {certificate["costs_digest"] for certificate in certified}:
        path = episodes_path(data_folder, digest)
        if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            found.append(f"{path}, the episodes of a certificate, is missing or was changed.")
    return found


def _bundle_damages(folder: Path) -> Iterator[str]:
    """A bundle's folder is opened as if it were to decide; its archive must say the same to the byte."""
    try:
        open_bundle(folder)
    except QuaestorError as error:
        yield str(error)
        return
    archive = folder.with_name(folder.name + ARCHIVE)
    if archive.exists() and archive.read_bytes() != archive_bytes(read_contents(folder)):
        yield f"{archive} differs from its folder; export the iteration again."


def _visible(folder: Path) -> list[Path]:
    """What has its final name: what an interrupted write left begins with a dot."""
    return sorted(path for path in folder.glob("*") if not path.name.startswith("."))


def _changed(folder: Path) -> Iterator[str]:
    manifest = folder / MANIFEST
    if not manifest.exists() or hashlib.sha256(manifest.read_bytes()).hexdigest() != folder.name:
        yield MANIFEST
        return
    for name, digest in json.loads(manifest.read_bytes())["files"].items():
        path = folder / name
        if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            yield name
