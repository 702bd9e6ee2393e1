"""A payments policy: an oracle and an exploration rule, as one graph with its spec."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import TensorProto

from models.payments.exploration.rule import Exploration, add_beliefs
from models.payments.graph import Graph
from models.payments.oracles.oracle import Oracle
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.spec import PaymentsSpec


def policy_graph(oracle: Oracle, rule: Exploration, spec: PaymentsSpec, costs: Oracle | None = None) -> bytes:
    """The graph from contexts, eligibility and noise to probabilities, as ONNX bytes. costs: predicts what actions
    cost, for a rule that is charged."""
    graph = Graph(len(spec.actions))
    features = spec.features
    numeric = graph.input("numeric", TensorProto.FLOAT, len(features.numeric))
    category = graph.input("category", TensorProto.INT64, len(features.category))
    eligible = graph.input("eligible", TensorProto.BOOL, len(spec.actions))
    noise = graph.input("noise", TensorProto.FLOAT, len(features.numeric))
    spread = np.array([feature.spread for feature in features.numeric])
    scale = graph.constant((spec.noise_scale * spread).astype(np.float32))
    smoothed = graph.op("Add", numeric, graph.op("Mul", noise, scale))
    beliefs = add_beliefs(oracle, graph, smoothed, category, rule.needs)
    if costs is not None:
        beliefs = replace(beliefs, costs=costs.add_to(graph, smoothed, category))
    return graph.build({"scores": beliefs.scores, "probabilities": rule.add_to(graph, beliefs, eligible)})


def build_policy(oracle: Oracle, rule: Exploration, spec: PaymentsSpec) -> PaymentsPolicy:
    """The policy as it will decide, ready to run."""
    return PaymentsPolicy(policy_graph(oracle, rule, spec), spec)
