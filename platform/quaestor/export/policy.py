"""Loads a policy from its graph and spec, whichever kind it is."""

from __future__ import annotations

from quaestor.export.graph_safety import refuse_unsafe
from quaestor.export.inventory_policy import InventoryPolicy
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.spec import InventorySpec, read_spec

GRAPH = "policy.onnx"
SPEC = "spec.json"

Policy = PaymentsPolicy | InventoryPolicy


def load_policy(graph: bytes, spec: bytes, where: str) -> Policy:
    """A policy ready to decide; raises QuaestorError for a graph or spec that cannot or should not be used."""
    parsed = read_spec(spec, f"{where}/{SPEC}")
    refuse_unsafe(graph, f"{where}/{GRAPH}")
    if isinstance(parsed, InventorySpec):
        return InventoryPolicy(graph, parsed, f"{where}/{GRAPH}")
    return PaymentsPolicy(graph, parsed, f"{where}/{GRAPH}")
