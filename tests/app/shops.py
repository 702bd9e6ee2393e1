"""A depot and two shops with order policies small enough to be written by hand, as ONNX graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from quaestor.export.policy import GRAPH, SPEC
from quaestor.export.spec import InventorySpec, spec_json
from quaestor.simulation.period import Stock
from quaestor.simulation.scenarios import PlainScenarios, scenarios_json

NETWORK = {
    "name": "two-shops",
    "unmet_demand": "lost",
    "nodes": [
        {"name": "maker", "kind": "supplier", "holding_cost": 0.0, "underage_cost": 0.0},
        {"name": "depot", "kind": "warehouse", "holding_cost": 0.3, "underage_cost": 0.0},
        {"name": "north", "kind": "store", "holding_cost": 1.0, "underage_cost": 9.0},
        {"name": "south", "kind": "store", "holding_cost": 1.0, "underage_cost": 9.0},
    ],
    "edges": [
        {"source": "maker", "target": "depot", "lead_time": 3, "unit_cost": 0.5},
        {"source": "depot", "target": "north", "lead_time": 1, "unit_cost": 0.0},
        {"source": "depot", "target": "south", "lead_time": 2, "unit_cost": 0.0},
    ],
}
PLACES, STORES = ("depot", "north", "south"), ("north", "south")
LEAD, WINDOW = 3, 2
PERIODS, WARMUP, FIRST_PERIOD = 10, 4, 100
PRODUCTS = ("P1", "P2", "P3")


def policy_files(levels: tuple[float, float, float]) -> dict[str, bytes]:
    """The files of a policy that orders up to a level at each place; each shop may take half of the depot's stock."""
    caps = np.array([[0, 0.5, 0.5], [0, 0, 0], [0, 0, 0]], dtype=np.float32)
    constants = {
        "level": np.array(levels, dtype=np.float32),
        "caps": caps,
        "supplier": np.array([1e9, 0, 0], dtype=np.float32),
        "lead_axis": np.array([2], dtype=np.int64),
    }
    nodes = [
        helper.make_node("ReduceSum", ["in_transit", "lead_axis"], ["coming"], keepdims=0),
        helper.make_node("Add", ["on_hand", "coming"], ["position"]),
        helper.make_node("Sub", ["level", "position"], ["short"]),
        helper.make_node("Relu", ["short"], ["desired"]),
        helper.make_node("Relu", ["on_hand"], ["stock"]),
        helper.make_node("MatMul", ["stock", "caps"], ["parts"]),
        helper.make_node("Add", ["parts", "supplier"], ["most"]),
        helper.make_node("Min", ["desired", "most"], ["orders"]),
    ]
    shapes = {"on_hand": ["row", len(PLACES)], "in_transit": ["row", len(PLACES), LEAD]}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    outputs = [helper.make_tensor_value_info("orders", TensorProto.FLOAT, ["row", len(PLACES)])]
    kept = [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "order-up-to", inputs, outputs, kept)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    spec = InventorySpec(
        kind="inventory",
        system="shops",
        places=PLACES,
        stores=STORES,
        edges=tuple((str(edge["source"]), str(edge["target"])) for edge in NETWORK["edges"]),  # type: ignore[index]
        lead=LEAD,
        window=WINDOW,
        calendar=(),
        noise_scale=0.0,
        salt="salt",
    )
    return {GRAPH: model.SerializeToString(deterministic=True), SPEC: spec_json(spec)}


def scenarios() -> PlainScenarios:
    """Held-out demand of three products of different sizes."""
    draw = np.random.default_rng(4)
    size = np.array([2.0, 5.0, 9.0])[:, None, None]
    return PlainScenarios(
        products=PRODUCTS,
        first_period=FIRST_PERIOD,
        history=WINDOW,
        warmup=WARMUP,
        recorded=True,
        demand=draw.poisson(size, (len(PRODUCTS), len(STORES), WINDOW + PERIODS)).astype(np.float64),
        calendar=np.zeros((WINDOW + PERIODS, 0)),
        opening=Stock(np.zeros((len(PRODUCTS), len(PLACES))), np.ones((len(PRODUCTS), len(PLACES), LEAD))),
    )


def kept_scenarios(base_stock_id: str) -> dict[str, Any]:
    """The evidence by which the console plays the policies again."""
    return {"network_id": "network", "yardsticks": {"base stock": base_stock_id}, **scenarios_json(scenarios())}
