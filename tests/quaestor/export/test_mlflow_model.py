"""A bundle as an MLflow model: the same decisions, the same checks, and nothing sent anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from quaestor.errors import QuaestorError, UsageError
from quaestor.export import mlflow_model
from quaestor.export.mlflow_model import ARCHIVED, MODEL, write_mlflow_model
from quaestor.export.runtime import load
from tests.quaestor.export.conftest import KEY, Made, private_key, public_pem, rows

_PREDICT = """
import json, socket, sys, time
tried = []
def refuse(*arguments, **_):
    tried.append(repr(arguments))
    raise OSError("no network here")
socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse
import mlflow.pyfunc, pandas
model = mlflow.pyfunc.load_model(sys.argv[1], model_config={"keys": sys.argv[2]})
frame = pandas.DataFrame(json.load(sys.stdin))
decided = model.predict(frame)
time.sleep(1)  # telemetry would go from a thread of its own
from mlflow.telemetry import get_telemetry_client
print(json.dumps({"tried": tried, "telemetry": get_telemetry_client() is not None,
                  "kind": type(decided).__name__, "loaded": "torch" in sys.modules,
                  "action": decided["action"].tolist(), "propensity": decided["propensity"].tolist()}))
"""


@pytest.fixture
def model(made: Made, tmp_path: Path) -> Path:
    copy = shutil.copy(made.first.archive, tmp_path / made.first.archive.name)
    return write_mlflow_model(load(copy, quiet=True).bundle)


def test_the_same_bundle_gives_the_same_bytes(model: Path, made: Made) -> None:
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    assert before[ARCHIVED] == made.first.archive.read_bytes()
    assert json.loads(before[MODEL])["metadata"]["digest"] == made.first.digest
    again = write_mlflow_model(load(made.first.archive, quiet=True).bundle)
    assert {path.name: path.read_bytes() for path in again.iterdir()} == before


def test_its_loader_checks_the_bundle(model: Path, tmp_path: Path) -> None:
    trusted, other = tmp_path / "trusted.pem", tmp_path / "other.pem"
    trusted.write_bytes(public_pem(KEY))
    other.write_bytes(public_pem(private_key(9)))
    loaded = mlflow_model._load_pyfunc(str(model / ARCHIVED), {"keys": str(trusted)})
    assert loaded.predict(rows(3))["action"].len() == 3
    with pytest.raises(UsageError, match="take no parameters"):
        loaded.predict(rows(3), {"temperature": 1})
    with pytest.raises(QuaestorError, match="not trusted here"):
        mlflow_model._load_pyfunc(str(model / ARCHIVED), {"keys": str(other)})
    content = bytearray((model / ARCHIVED).read_bytes())
    content[len(content) // 2] ^= 1
    (model / ARCHIVED).write_bytes(content)
    with pytest.raises(QuaestorError, match=r"damaged|was changed"):
        mlflow_model._load_pyfunc(str(model / ARCHIVED), {"keys": str(trusted)})


@pytest.mark.slow
def test_mlflow_gives_the_bundles_decisions_and_sends_nothing(model: Path, made: Made, tmp_path: Path) -> None:
    pytest.importorskip("mlflow.pyfunc")
    (tmp_path / "trusted.pem").write_bytes(public_pem(KEY))
    sent = rows(40).to_dicts()
    # Without the signs of a test or of a build, in which MLflow keeps quiet by itself.
    hushing = ("PYTEST", "CI", "GIT", "JENKINS", "BUILD", "MLFLOW", "DO_NOT_TRACK")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(hushing)}
    done = subprocess.run(
        [sys.executable, "-c", _PREDICT, str(model), str(tmp_path / "trusted.pem")],
        input=json.dumps(sent), capture_output=True, text=True, env={**clean, "HOME": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    expected = load(made.first.path, quiet=True).decide(pl.DataFrame(sent))
    assert "SIGNATURE NOT CHECKED" not in done.stderr
    assert (found["tried"], found["telemetry"], found["kind"], found["loaded"]) == ([], False, "DataFrame", False)
    assert found["action"] == expected["action"].to_list()
    assert found["propensity"] == expected["propensity"].to_list()
