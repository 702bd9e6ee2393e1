"""What changes a trained iteration is in its digest: the lists named CODE leave nothing out that training runs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from flows import inventory_training, payments_training, smoothed_training
from tests.conftest import ROOT

TRAINS = {
    "payments": ("models.payments.memory", "models.payments.refit", "models.payments.windows"),
    "inventory": ("models.inventory",),
    "smoothing": smoothed_training.CODE,
}
CODE = {
    "payments": payments_training.CODE,
    "inventory": inventory_training.CODE,
    "smoothing": inventory_training.CODE + smoothed_training.CODE,
}
TEACHES_NOTHING = {
    "quaestor.errors": "refuses",
    "quaestor.study": "reads parameters, which are in the digest themselves",
    "quaestor.export.inventory_policy": "names of a graph's inputs; the graph is read by what was exported",
    "quaestor.export.session": "runs a finished policy",
    "quaestor.ope.weight_histogram": "draws a chart",
    "quaestor.store": "opens the store",
}


def _paths(module: str) -> list[Path]:
    """The files of a module, or of a package with everything in it; none where the name is no module."""
    for root in (ROOT / "platform", ROOT):
        place = root.joinpath(*module.split("."))
        if place.with_suffix(".py").is_file():
            return [place.with_suffix(".py")]
        if (place / "__init__.py").is_file():
            return sorted(place.rglob("*.py"))
    return []


def _imports(path: Path) -> set[str]:
    """The modules of quaestor and models that a file imports when it runs, not only for types."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            own = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if _paths(name) else str(node.module) for name in own}
    return {name for name in found if name.split(".")[0] in ("quaestor", "models")}


def _listed(module: str, code: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in code)


@pytest.mark.parametrize("room", CODE)
def test_all_that_training_runs_is_in_the_digest_of_what_it_makes(room: str) -> None:
    waiting, seen = list(TRAINS[room]), set()
    while waiting:
        module = waiting.pop()
        if module not in seen and module not in TEACHES_NOTHING:
            seen.add(module)
            waiting += sorted(name for path in _paths(module) for name in _imports(path))
    assert {module for module in seen if not _listed(module, CODE[room])} == set()
