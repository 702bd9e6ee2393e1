"""The wheel's `runtime` extra, installed apart, is all that a serving machine needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from quaestor.export.runtime import load
from tests.conftest import ROOT
from tests.quaestor.export.conftest import KEY, Made, public_pem, rows

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("one wheel")]

ABSENT = ("torch", "duckdb", "pandas", "prefect", "streamlit", "scipy", "pyarrow", "onnx", "sklearn", "fastapi")

_DECIDE = """
import importlib.util, json, sys
from quaestor.export.runtime import load
found = [name for name in sys.argv[3].split(",") if importlib.util.find_spec(name)]
policy = load(sys.argv[1], keys=sys.argv[2])
rows = json.load(sys.stdin)
import polars as pl
print(json.dumps({"found": found, "alone": [policy.decide(row)["action"] for row in rows],
                  "together": policy.decide(pl.DataFrame(rows))["action"].to_list()}))
"""


def _run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr[-2000:]
    return done  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with nothing but the wheel and its runtime extra, at the locked versions."""
    folder = tmp_path_factory.mktemp("apart")
    quiet = ("--quiet", "--disable-pip-version-check")
    _run(sys.executable, "-m", "pip", "wheel", *quiet, "--no-deps", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("quaestor-*.whl")
    _run(sys.executable, "-m", "venv", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    locked = ("--constraint", ROOT / "requirements.lock")
    _run(python, "-m", "pip", "install", *quiet, *locked, f"quaestor[runtime] @ {wheel.as_uri()}")
    return python


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "QUAESTOR"))}


def test_it_decides_as_here(apart: Path, made: Made, tmp_path: Path) -> None:
    (tmp_path / "trusted.pem").write_bytes(public_pem(KEY))
    sent = rows(40).to_dicts()
    done = _run(
        apart, "-c", _DECIDE, made.first.archive, tmp_path / "trusted.pem", ",".join(ABSENT),
        input=json.dumps(sent), cwd=tmp_path, env=_clean(),
    )  # fmt: skip
    answer = json.loads(done.stdout)
    expected = load(made.first.path, quiet=True).decide(rows(40))["action"].to_list()
    assert answer == {"found": [], "alone": expected, "together": expected}


def test_its_commands_decide_and_verify(apart: Path, made: Made, tmp_path: Path) -> None:
    (tmp_path / "trusted.pem").write_bytes(public_pem(KEY))
    rows(10).write_parquet(tmp_path / "rows.parquet")
    quaestor = apart.with_name("quaestor")
    options = ("--key", tmp_path / "trusted.pem")
    out = _run(
        quaestor, "decide", made.first.path, "--input", tmp_path / "rows.parquet", "--output", tmp_path / "out",
        *options, cwd=tmp_path, env=_clean(),
    ).stdout  # fmt: skip
    assert out.startswith("10 decisions in ")
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 1
    said = _run(quaestor, "verify", made.first.path, *options, cwd=tmp_path, env=_clean()).stdout
    assert "Signed by trusted key" in said
    assert "arithmetic was not checked" in said
