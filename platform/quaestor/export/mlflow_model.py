"""An exported bundle as an MLflow model (flavour pyfunc): a folder with an MLmodel file around the bundle's archive.

Writing it needs no MLflow. `mlflow.pyfunc.load_model(folder)` finds `_load_pyfunc` here by its name, which checks the
bundle as `runtime.load` does: nothing is unpickled, and no digest is taken on trust.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quaestor import __version__
from quaestor.atomic import write_file
from quaestor.errors import UsageError
from quaestor.export.bundle import Bundle
from quaestor.export.contents import archive_bytes
from quaestor.export.runtime import Runtime, load

MODEL, ARCHIVED, REQUIREMENTS = "MLmodel", "bundle.zip", "requirements.txt"
_NO_TELEMETRY = "MLFLOW_DISABLE_TELEMETRY"


def write_mlflow_model(bundle: Bundle) -> Path:
    """Writes the MLflow model beside the bundle and returns its folder; the same bundle gives the same bytes."""
    folder = bundle.archive.with_suffix(".mlflow")
    facts = {"system": bundle.system, "iteration_id": bundle.iteration_id, "digest": bundle.digest}
    flavour = {"loader_module": __name__, "data": ARCHIVED, "config": {"keys": ""}, "env": {}}
    model = {
        "flavors": {"python_function": {**flavour, "python_version": platform.python_version()}},
        "model_uuid": bundle.digest[:32],
        "metadata": {**facts, "serial": bundle.serial, "trust": bundle.trust()},
    }
    write_file(folder / ARCHIVED, archive_bytes(bundle.files))
    write_file(folder / REQUIREMENTS, f"quaestor[mlflow]=={__version__}\n".encode())
    write_file(folder / MODEL, json.dumps(model, indent=1).encode())  # last; JSON is YAML, which MLflow reads
    return folder


class MlflowModel:
    """What `mlflow.pyfunc` calls `predict` on."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Decides the rows of a frame, a mapping or a list of mappings, as `Runtime.decide` does.

        Raises UsageError for `params`: a decision follows from its row alone.
        """
        if params:
            raise UsageError(f"A bundle's decisions take no parameters, found {', '.join(map(str, params))}.")
        return self.runtime.decide(model_input)


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> MlflowModel:
    """MLflow's way in. model_config may name trusted `keys` (a PEM file); QUAESTOR_KEYS does otherwise.

    MLflow's telemetry is switched off unless its own variable says otherwise: nothing of a decision leaves the house.
    """
    os.environ.setdefault(_NO_TELEMETRY, "true")
    client = sys.modules.get("mlflow.telemetry.client")
    if client is not None:
        client.set_telemetry_client()  # it looks at the variable again
    return MlflowModel(load(path, (model_config or {}).get("keys") or None))
