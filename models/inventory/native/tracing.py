"""One period of a rollout, traced from its Python and lowered to a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx

from models.inventory.dynamics import State
from models.inventory.layout import Layout
from models.inventory.native.arithmetic import ARITHMETIC
from models.inventory.native.encoding import Program, encoded
from models.inventory.native.lowering import Lowering, UnsupportedError
from models.inventory.native.moves import MOVES
from models.inventory.native.walk import Walk, constant
from models.inventory.observation import Observation
from models.inventory.period import play_period

OPERATIONS = ARITHMETIC | MOVES

OWN_TERMS = ("holding_cost", "underage_cost", "unit_cost", "demand_mean", "demand_deviation")
"""Terms that each scenario may have of its own; a program is for one set of lead times."""


@dataclass(frozen=True)
class Traced:
    """The program of a period, and the part of its graph that depends on weights alone.

    weights: the graph's first arguments, by name. prologue: nodes that torch computes once a rollout, from weights and
    constants. shared: the numbers and the nodes whose values are, one after the other, the program's parameters.
    """

    program: Program
    weights: dict[str, fx.Node]
    prologue: tuple[fx.Node, ...]
    constants: dict[fx.Node, Any]
    shared: tuple[fx.Node | Tensor, ...]
    dtype: torch.dtype

    def parameters(self, weights: dict[str, Tensor]) -> Tensor:
        """What all scenarios share, (parameter,), differentiable in the weights."""
        known = self.constants | {node: weights[name] for name, node in self.weights.items()}
        for node in self.prologue:
            known[node] = constant(node, known)
        parts = [torch.zeros(0, dtype=self.dtype)]
        for entry in self.shared:
            parts.append(known[entry].reshape(-1) if isinstance(entry, fx.Node) else entry)
        return torch.cat(parts)


def trace(layout: Layout, policy: nn.Module, window: int, calendar: int, noisy: bool, wanted: Sequence[str]) -> Traced:
    """The program of a period of this policy on a layout of one scenario.

    Inputs a period, in this order: demand (store,), past demand (store, window), calendar (feature,), noise on what is
    on hand (place,) and in transit (place, lead) where `noisy`, and the terms of OWN_TERMS where they are `wanted`.
    Raises UnsupportedError where the policy does what the machine does not know.
    """
    places, lead, like = layout.places, layout.longest_lead_time, layout.holding_cost
    weights = {**dict(policy.named_parameters()), **dict(policy.named_buffers())}
    sizes = [(places,), (places, lead), (layout.stores,), (layout.stores, window), (calendar,)]
    sizes += [(places,), (places, lead)] * noisy + [tuple(getattr(layout, name).shape[1:]) for name in wanted]

    def period(weights: dict[str, Tensor], on_hand: Tensor, in_transit: Tensor, given: list[Tensor]) -> Any:
        demand, past, features, *rest = given
        seen = (on_hand, in_transit)
        if noisy:
            seen, rest = (on_hand + rest[0], in_transit + rest[1]), rest[2:]
        own: dict[str, Any] = dict(zip(wanted, rest, strict=True))
        terms = replace(layout, **own)
        observation = Observation(*seen, past, features)
        state = State(on_hand, in_transit)

        def decide(of: Layout, what: Observation) -> Tensor:
            return torch.func.functional_call(policy, weights, (of, what))

        _, following, cost = play_period(terms, decide, state, observation, demand)
        return cost.total, following.on_hand, following.in_transit

    on_hand, in_transit, *given = [like.new_ones(1, *size) for size in sizes]
    # A policy may do otherwise where gradients are wanted. Its weights want none here, or torch would note its own.
    weights = {name: weight.detach() for name, weight in weights.items()}
    try:
        graph = make_fx(torch.func.functionalize(period))(weights, on_hand, in_transit, given).graph
    except (RuntimeError, TypeError, ValueError) as error:
        raise UnsupportedError(f"policy that torch cannot trace ({error})") from error
    graph.eliminate_dead_code()
    return _lowered(graph, weights, sizes, like.dtype)


def _lowered(graph: fx.Graph, weights: dict[str, Tensor], sizes: list[tuple[int, ...]], dtype: torch.dtype) -> Traced:
    arguments = [node for node in graph.nodes if node.op == "placeholder"]
    names, given = arguments[: len(weights)], arguments[len(weights) :]
    upon_weights, upon_scenario = set(names), set(given)
    for node in graph.nodes:
        for depending in (upon_weights, upon_scenario):
            if any(source in depending for source in node.all_input_nodes):
                depending.add(node)
    shared = upon_weights - upon_scenario
    lowering = Lowering(shared)
    known: dict[fx.Node, Any] = dict(zip(names, (weight.detach() for weight in weights.values()), strict=True))
    for node, size in zip((*given[2:], *given[:2]), (*sizes[2:], *sizes[:2]), strict=True):
        known[node] = lowering.writer.columns((1, *size), node in given[:2])
    walk = Walk(lowering, known)
    for node in graph.nodes:
        if node.op == "get_attr":
            known[node] = getattr(graph.owning_module, str(node.target))
        elif node.op == "call_function":
            known[node] = _taken(walk, node) if node in upon_scenario else constant(node, known)
    (results,) = next(node for node in graph.nodes if node.op == "output").args
    cost, on_hand, in_transit = (walk.ids(result) for result in results)
    inputs = np.concatenate([np.zeros(0, dtype=np.int64), *(known[node].ravel() for node in given[2:])])
    states = np.concatenate([known[node].ravel() for node in given[:2]])
    after = np.concatenate((on_hand.ravel(), in_transit.ravel()))
    return Traced(
        program=encoded(lowering.writer.finish(inputs, states, after, int(cost.ravel()[0]))),
        weights=dict(zip(weights, names, strict=True)),
        prologue=tuple(node for node in graph.nodes if node in shared and node.op == "call_function"),
        constants={node: value for node, value in known.items() if node not in upon_weights | upon_scenario},
        shared=tuple(
            entry if isinstance(entry, fx.Node) else torch.tensor([entry], dtype=dtype) for entry in lowering.shared
        ),
        dtype=dtype,
    )


def _taken(walk: Walk, node: fx.Node) -> Any:
    name = str(node.target).removeprefix("aten.")
    operation = OPERATIONS.get(name) or OPERATIONS.get(name.split(".")[0])
    if operation is None:
        raise UnsupportedError(f"operation {node.target}")
    return operation(walk, *node.args, **node.kwargs)
