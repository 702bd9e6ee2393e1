"""Imports run one way, and each heavy library has one home."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = {"quaestor": ROOT / "platform" / "quaestor", **{name: ROOT / name for name in ("models", "flows", "app")}}
MAY_IMPORT = {
    "quaestor": set(),
    "models": {"quaestor"},
    "flows": {"quaestor", "models"},
    "app": {"quaestor"},
}
HOMES = {
    "duckdb": ("platform/quaestor/store",),
    "prefect": ("flows",),
    "streamlit": ("app",),
    "torch": ("models",),
    "torch_geometric": ("models",),
    "sklearn": ("models",),
}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    for path in _files(ROOMS[room]):
        found = {name.split(".")[0] for name in _imports(path)} & set(ROOMS)
        assert found <= MAY_IMPORT[room] | {room}, f"{path.relative_to(ROOT)} imports {found}"


@pytest.mark.parametrize("library", HOMES)
def test_a_library_has_one_home(library: str) -> None:
    for room in ROOMS.values():
        for path in _files(room):
            relative = path.relative_to(ROOT).as_posix()
            if library in {name.split(".")[0] for name in _imports(path)}:
                assert relative.startswith(HOMES[library]), f"{relative} imports {library}"


def test_the_rooms_of_models_know_nothing_of_each_other_but_smoothing_plays_both() -> None:
    for room, others in (("inventory", {"payments", "smoothing"}), ("payments", {"inventory", "smoothing"})):
        for path in _files(ROOT / "models" / room):
            found = {name.split(".")[1] for name in _imports(path) if name.startswith("models.")}
            assert not found & others, f"{path.relative_to(ROOT)} imports {found & others}"


def test_training_needs_neither_database_nor_frames() -> None:
    """A bare machine with a GPU has numpy, torch and torch_geometric."""
    absent = ["duckdb", "polars", "prefect", "pydantic", "onnx", "onnxruntime", "scipy", "pyarrow"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({absent}))\n"
        "import models.inventory.hdpo, models.inventory.policies.build, models.inventory.problem\n"
        "import models.inventory.checkpoint, models.smoothing.inventory; print('bare')"
    )
    assert _run(code).strip() == "bare"


def test_retraining_payments_needs_no_torch() -> None:
    """It is most of the seconds that a run takes to begin."""
    code = "import sys, flows.retrain_payments, flows.watch_canary, flows.certify\nprint(*sys.modules)"
    assert not {"torch", "torch_geometric"} & set(_run(code).split())


def test_deciding_needs_neither_torch_nor_a_database() -> None:
    heavy = {"torch", "duckdb", "prefect", "streamlit", "pandas", "sklearn", "onnx", "scipy", "pydantic"}
    code = "import sys, quaestor.export.runtime, quaestor.cli\nprint(*{name.split('.')[0] for name in sys.modules})"
    assert not heavy & set(_run(code).split())


def test_the_runtime_holds_no_deserialiser_that_runs_code() -> None:
    for path in _files(ROOT / "platform" / "quaestor" / "export"):
        found = {name.split(".")[0] for name in _imports(path)}
        assert not found & {"pickle", "joblib", "cloudpickle", "dill", "yaml", "torch", "marshal", "shelve"}, path


def test_platform_is_still_the_standard_librarys() -> None:
    assert _run("import platform; print(platform.__file__)").strip().endswith("platform.py")
    loose = [path.name for path in (ROOT / "platform").iterdir() if path.name not in {"quaestor", "__pycache__"}]
    assert loose == []


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout
