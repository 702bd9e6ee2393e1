"""A bundle of a small order policy whose graph is written by hand: order up to 20 at each of three places."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import polars as pl
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from onnx import TensorProto, helper, numpy_helper

from quaestor.export.bundle import (
    CARD,
    CERTIFICATE,
    EPISODES,
    EVALUATION,
    MANIFEST,
    MATERIALS,
    Bundle,
    write_bundle,
)
from quaestor.export.input_schema import input_schema
from quaestor.export.policy import GRAPH, SPEC
from quaestor.export.spec import InventorySpec, spec_json

PLACES, STORES = ("hub", "north", "south"), ("north", "south")
EDGES = (("supplier", "hub"), ("hub", "north"), ("hub", "south"))
LEAD, WINDOW, LEVEL = 2, 4, 20.0


def order_spec(noise_scale: float = 0.1, window: int = WINDOW) -> InventorySpec:
    """Three places, two of them stores; looks back `window` periods, which its graph does not read."""
    return InventorySpec(
        "inventory", "depot", PLACES, STORES, EDGES, LEAD, window, ("season",), noise_scale, "depot salt"
    )


def order_graph(level: float = LEVEL, window: int = WINDOW) -> bytes:
    """Orders up to a level on every edge, from what is seen of stock."""
    places, stores = len(PLACES), len(STORES)
    sizes = {
        "on_hand": [places], "in_transit": [places, LEAD], "past_demand": [stores, window], "calendar": [1],
        "noise_on_hand": [places], "noise_in_transit": [places, LEAD], "noise_past_demand": [stores, window],
    }  # fmt: skip
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["row", *size]) for name, size in sizes.items()]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["row", places]) for n in ("desired", "orders")]
    nodes = [
        helper.make_node("Add", ["on_hand", "noise_on_hand"], ["seen"]),
        helper.make_node("Sub", ["level", "seen"], ["short"]),
        helper.make_node("Relu", ["short"], ["desired"]),
        helper.make_node("Identity", ["desired"], ["orders"]),
    ]
    held = [numpy_helper.from_array(np.array(level, dtype=np.float32), "level")]
    graph = helper.make_graph(nodes, "orders", inputs, outputs, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return model.SerializeToString(deterministic=True)


def order_rows(count: int, window: int = WINDOW) -> list[dict[str, object]]:
    """Observations of products, as JSON would hold them."""
    chance = np.random.default_rng(count)
    return [
        {
            "product": f"p{number}",
            "period": 40,
            "on_hand": chance.uniform(0, 30, 3).tolist(),
            "in_transit": chance.uniform(0, 9, (3, LEAD)).tolist(),
            "past_demand": chance.uniform(0, 9, (2, window)).tolist(),
            "calendar": [0.5],
            "scale": [8.0, 4.0, 4.0],
        }
        for number in range(count)
    ]


def order_bundle(
    folder: Path, serial: int, key: Ed25519PrivateKey, level: float = LEVEL, window: int = WINDOW
) -> Bundle:
    """A whole signed bundle but for its evidence, which is empty."""
    graph, spec = order_graph(level, window), order_spec(window=window)
    iteration_id = hashlib.sha256(graph).hexdigest()
    subject = {"system": spec.system, "runner_digest": hashlib.sha256(graph).hexdigest()}
    manifest = {"iteration_id": iteration_id, "serial": serial, "inputs": input_schema(spec)}
    contents = {MANIFEST: manifest, CERTIFICATE: {"subject": subject, "expires_at": "none"}, EVALUATION: {}}
    files = {name: json.dumps(content).encode() for name, content in contents.items()}
    files |= {GRAPH: graph, SPEC: spec_json(spec), EPISODES: b"", CARD: b"", MATERIALS: b"{}"}
    return write_bundle(folder, iteration_id, serial, files, pl.DataFrame(order_rows(3, window)), key)
