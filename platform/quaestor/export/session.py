"""Runs an ONNX graph on the CPU."""

from __future__ import annotations

from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

from quaestor.errors import QuaestorError

Array = NDArray[Any]


class Session:
    """A loaded graph; refuses one that cannot be loaded or run, with a sentence."""

    def __init__(self, graph: bytes, where: str, threads: int = 1) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own classes, without a common base
            raise QuaestorError(f"{where} is not a graph that can be run: {str(error).splitlines()[0]}") from None
        self._where = where
        self._wanted = {entry.name for entry in self._session.get_inputs()}

    def run(self, output: str, inputs: dict[str, Array]) -> Array:
        """The named output for these inputs; inputs that the graph does not use are left out."""
        used = inputs if len(inputs) == len(self._wanted) else {n: inputs[n] for n in inputs if n in self._wanted}
        try:
            return self._session.run([output], used)[0]  # type: ignore[no-any-return]
        except Exception as error:
            raise QuaestorError(f"{self._where} could not be run: {str(error).splitlines()[0]}") from None
