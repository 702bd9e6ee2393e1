"""Which code made an iteration: the digest of the learning code itself, so that no commit is needed to tell."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from pathlib import Path

from quaestor import __version__


@cache
def code_digest(packages: tuple[str, ...]) -> str:
    """The version and a digest of every Python file of the named packages, found without importing them."""
    digest = hashlib.sha256()
    for package in packages:
        found = importlib.util.find_spec(package)
        if found is None or not found.submodule_search_locations:
            raise ModuleNotFoundError(f"no package {package!r} to take the digest of")
        root = Path(next(iter(found.submodule_search_locations)))
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{package}/{path.relative_to(root).as_posix()}\x1f".encode())
            digest.update(path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:16]}"
