"""A graph that could surprise is refused at load, never at the first request."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quaestor.errors import QuaestorError
from quaestor.export.graph_safety import refuse_unsafe
from quaestor.export.session import Session

Model = onnx.ModelProto


def _model(operators: int = 18, weights: np.ndarray | None = None, node: str = "Add", **domain: str) -> Model:
    values = np.ones((1, 3), dtype=np.float32) if weights is None else weights
    graph = helper.make_graph(
        [helper.make_node(node, ["x", "w"], ["y"], **domain)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["row", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["row", 3])],
        [numpy_helper.from_array(values, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", operators)], ir_version=9)


def _external(model: Model) -> Model:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return model


def _only_named_external(model: Model) -> Model:
    entry = model.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    return model


def _custom(model: Model) -> Model:
    model.opset_import.append(helper.make_opsetid("com.evil", 1))
    return model


def _huge_input(model: Model) -> Model:
    shape = model.graph.input[0].type.tensor_type.shape
    shape.dim[1].dim_value = 10_000_000_000
    return model


def _huge_constant(model: Model) -> Model:
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([50_000, 50_000])
    return model


def _small_but_wrong(model: Model) -> Model:
    model.graph.initializer[0].dims[1] = 4
    return model


def _grown_at_run_time(kind: str) -> Model:
    shape = numpy_helper.from_array(np.array([100_000, 100_000], dtype=np.int64), "shape")
    inputs = ["shape"] if kind == "ConstantOfShape" else ["x", "shape"]
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [shape],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _functions(model: Model) -> Model:
    model.functions.append(
        helper.make_function("com.evil", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [])
    )
    return model


def _hidden_nan() -> Model:
    """A NaN inside a branch of a conditional, as packed numbers rather than raw bytes."""
    tensor = helper.make_tensor("deep", TensorProto.DOUBLE, [2], [1.0, float("nan")])
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=tensor)],
        "branch",
        [],
        [helper.make_tensor_value_info("c", TensorProto.DOUBLE, [2])],
    )
    node = helper.make_node("If", ["cond"], ["y"], then_branch=branch, else_branch=branch)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("cond", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, [2])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _newer_format(model: Model) -> Model:
    model.ir_version = 99
    return model


NAN = np.array([[1.0, np.nan, 1.0]], dtype=np.float32)
REFUSED: dict[str, tuple[Callable[[], Model], str]] = {
    "external data": (lambda: _external(_model()), "another file"),
    "external data, only named": (lambda: _only_named_external(_model()), "another file"),
    "a custom domain": (lambda: _custom(_model()), "'com.evil'"),
    "a node of a custom domain": (lambda: _model(domain="com.evil", node="Run"), "'com.evil'"),
    "onnxruntime's own contrib operators": (lambda: _model(domain="com.microsoft", node="Gelu"), "com.microsoft"),
    "newer operators": (lambda: _model(operators=99), "newer than 18"),
    "a newer format": (lambda: _newer_format(_model()), "its format 99"),
    "a 10 GB input": (lambda: _huge_input(_model()), "declares a tensor of shape"),
    "a 10 GB constant": (lambda: _huge_constant(_model()), "declares 2,500,000,000 elements"),
    "a constant of another size": (lambda: _small_but_wrong(_model()), "not as large as it declares"),
    "a tensor made huge by a shape": (lambda: _grown_at_run_time("Expand"), "10,000,000,000 elements"),
    "a tensor filled from a shape": (lambda: _grown_at_run_time("ConstantOfShape"), "10,000,000,000 elements"),
    "NaN weights": (lambda: _model(weights=NAN), "not a number"),
    "NaN weights as doubles": (lambda: _model(weights=NAN.astype(np.float64)), "not a number"),
    "NaN weights in halves": (lambda: _model(weights=NAN.astype(np.float16)), "not a number"),
    "NaN deep inside": (_hidden_nan, "not a number"),
    "functions": (lambda: _functions(_model()), "functions"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_graph_that_could_surprise_is_refused(name: str) -> None:
    build, said = REFUSED[name]
    with pytest.raises(QuaestorError, match=said):
        refuse_unsafe(build().SerializeToString(), "policy.onnx")


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\xff" * 100, b"\x08", b"\x3a\xff\xff\xff\xff\x0f"])
def test_bytes_that_are_no_model_are_a_sentence(content: bytes) -> None:
    with pytest.raises(QuaestorError, match=r"not a graph that can be run|no ONNX model"):
        refuse_unsafe(content, "policy.onnx")


def test_a_plain_graph_passes_and_runs() -> None:
    content = _model().SerializeToString()
    refuse_unsafe(content, "policy.onnx")
    ran = Session(content, "policy.onnx").run("y", {"x": np.zeros((2, 3), dtype=np.float32)})
    assert ran.tolist() == [[1.0] * 3] * 2


def test_every_cut_of_a_graph_is_a_sentence_or_harmless() -> None:
    content = _model().SerializeToString()
    for end in range(len(content)):
        with pytest.raises(QuaestorError):
            refuse_unsafe(content[:end], "policy.onnx")
