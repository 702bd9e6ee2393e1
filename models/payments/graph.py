"""Writes ONNX graphs: the exported form of oracles and exploration rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper

OPSET = 18
IR_VERSION = 9


class Graph:
    """A graph under construction; every method returns the name of a tensor."""

    def __init__(self, actions: int) -> None:
        self.actions = actions
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []

    def input(self, name: str, kind: int, width: int) -> str:
        """Declares an input (round, width) of an ONNX element type."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, ["round", width]))
        return name

    def constant(self, array: NDArray[Any]) -> str:
        """A constant tensor."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """The result of one operator; operators of the ML domain are named `ml:TreeEnsembleRegressor`."""
        name = f"{kind.removeprefix('ml:').lower()}_{len(self._nodes)}"
        domain = "ai.onnx.ml" if kind.startswith("ml:") else ""
        node = helper.make_node(kind.removeprefix("ml:"), list(inputs), [name], domain=domain, **attributes)
        self._nodes.append(node)
        return name

    def cast(self, tensor: str, kind: int) -> str:
        """A tensor in another element type."""
        return self.op("Cast", tensor, to=kind)

    def sum_of_rows(self, tables: Sequence[NDArray[Any]], rows: str) -> str:
        """The sum of one row of each table (row, action), (round, action); rows (round, table)."""
        offsets = np.concatenate(([0], np.cumsum([len(table) for table in tables])))[:-1]
        places = self.op("Add", rows, self.constant(offsets.astype(np.int64)))
        entries = self.op("Gather", self.constant(np.concatenate(tables)), places, axis=0)
        return self.op("ReduceSum", entries, self.constant(np.array([1])), keepdims=0)

    def build(self, outputs: dict[str, str]) -> bytes:
        """The finished graph, checked; `outputs` names tensors (round, action) of doubles."""
        infos = []
        for name, tensor in outputs.items():
            self._nodes.append(helper.make_node("Identity", [tensor], [name]))
            infos.append(helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["round", self.actions]))
        graph = helper.make_graph(self._nodes, "policy", self._inputs, infos, self._constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 3)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="quaestor")
        checker.check_model(model, full_check=True)
        return model.SerializeToString(deterministic=True)
