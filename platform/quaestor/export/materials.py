"""The software bill of materials: what a bundle needs to run, and what made it (CycloneDX 1.6)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from quaestor import __version__

RUNS_WITH, MADE_WITH = ("runtime",), ("store", "training")


def lock() -> dict[str, Any]:
    """What is installed here of all that makes and runs a bundle: how many packages, and the digest of the sorted
    lines `name==version`."""
    lines = [f"{name}=={found.version}" for name, found in sorted(_installed((*RUNS_WITH, *MADE_WITH)).items())]
    return {"packages": len(lines), "sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest()}


def bill_of_materials(name: str, version: str, files: dict[str, bytes]) -> bytes:
    """A CycloneDX document for a bundle: its own files with their digests, the packages that run it (required) and
    those that only made it (excluded). It holds no time and no random serial number: same bundle, same bytes."""
    runs = _installed(RUNS_WITH)
    made = {key: found for key, found in _installed(MADE_WITH).items() if key not in runs}
    parts = [_file(file, content) for file, content in sorted(files.items())]
    parts += [_package(key, found, "required") for key, found in sorted(runs.items())]
    parts += [_package(key, found, "excluded") for key, found in sorted(made.items())]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "machine-learning-model", "bom-ref": name, "name": name, "version": version},
            "tools": {"components": [{"type": "application", "name": "quaestor", "version": __version__}]},
        },
        "components": parts,
    }
    return json.dumps(document, indent=1, sort_keys=True).encode()


def _installed(extras: Iterable[str]) -> dict[str, Distribution]:
    """Quaestor's own requirements with these extras, and theirs in turn, by name, as far as they are installed."""
    found: dict[str, Distribution] = {}
    waiting = [("quaestor", frozenset(extras))]
    done = set()
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in done:
            continue
        done.add((name, wanted))
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue
        found[name] = package
        for line in package.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in (wanted or {""})
            ):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found


def _file(name: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": [{"alg": "SHA-256", "content": digest}]}


def _package(name: str, found: Distribution, scope: str) -> dict[str, Any]:
    url = f"pkg:pypi/{name}@{found.version}"
    part = {"type": "library", "bom-ref": url, "name": name, "version": found.version, "purl": url, "scope": scope}
    metadata = found.metadata
    known = "License-Expression" in metadata
    return part | ({"licenses": [{"expression": metadata["License-Expression"]}]} if known else {})
