"""Which code made an iteration: the digest of the learning code itself, so that no commit is needed to tell."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from pathlib import Path

from quaestor import __version__


@cache
def code_digest(modules: tuple[str, ...]) -> str:
    """The version and a digest of the source of the named modules and packages, found by name.

    Raises ModuleNotFoundError for one that is not there.
    """
    digest = hashlib.sha256()
    for module in modules:
        found = importlib.util.find_spec(module)
        if found is None or found.origin is None:
            raise ModuleNotFoundError(f"no module {module!r} to take the digest of")
        origin = Path(found.origin)
        paths = sorted(origin.parent.rglob("*.py")) if found.submodule_search_locations else [origin]
        for path in paths:
            digest.update(f"{module}/{path.relative_to(origin.parent).as_posix()}\x1f".encode())
            digest.update(path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:16]}"
