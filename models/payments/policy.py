"""A payments policy: an oracle and an exploration rule, as one graph with its spec."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from models.payments.exploration.rule import Exploration
from models.payments.graph import Graph
from models.payments.oracles.oracle import Oracle
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.spec import PaymentsSpec


def policy_graph(oracle: Oracle, rule: Exploration, spec: PaymentsSpec) -> bytes:
    """The graph from contexts, eligibility and noise to probabilities, as ONNX bytes."""
    graph = Graph()
    features = spec.features
    numeric = graph.input("numeric", TensorProto.FLOAT, len(features.numeric))
    category = graph.input("category", TensorProto.INT64, len(features.category))
    eligible = graph.input("eligible", TensorProto.BOOL, len(spec.actions))
    noise = graph.input("noise", TensorProto.FLOAT, len(features.numeric))
    spread = np.array([feature.spread for feature in features.numeric])
    scale = graph.constant((spec.noise_scale * spread).astype(np.float32))
    smoothed = graph.op("Add", numeric, graph.op("Mul", noise, scale))
    scores = oracle.add_to(graph, smoothed, category)
    return graph.build({"scores": scores, "probabilities": rule.add_to(graph, scores, eligible)}, len(spec.actions))


def build_policy(oracle: Oracle, rule: Exploration, spec: PaymentsSpec) -> PaymentsPolicy:
    """The policy as it will decide, ready to run."""
    return PaymentsPolicy(policy_graph(oracle, rule, spec), spec)
