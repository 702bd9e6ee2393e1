"""Turns an order policy into an ONNX graph with feasible orders, and runs such a graph in rollouts."""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim
from torch_geometric.nn import Aggregation, MessagePassing

from models.inventory.feasibility import ration
from models.inventory.layout import Layout, Terms, on_terms
from models.inventory.observation import Observation
from quaestor.export.inventory_policy import INPUTS, NOISES, TERMS
from quaestor.export.session import Session

OPSET = 18

SMALL = 200
"""Nodes up to which a product with the incidence matrix is faster in ONNX than a scatter over the edges."""


class _Exported(nn.Module):
    """The policy as production calls it: noise is an input, and rationing sees the true stock."""

    def __init__(self, policy: nn.Module, layout: Layout) -> None:
        super().__init__()
        self.policy = policy
        self.layout = layout

    def forward(
        self,
        on_hand: Tensor,
        in_transit: Tensor,
        past_demand: Tensor,
        calendar: Tensor,
        noise_on_hand: Tensor,
        noise_in_transit: Tensor,
        noise_past_demand: Tensor,
        *own_terms: Tensor,
    ) -> tuple[Tensor, Tensor]:
        seen = Observation(
            on_hand + noise_on_hand, in_transit + noise_in_transit, past_demand + noise_past_demand, calendar
        )
        layout = _on_own_terms(self.layout, own_terms) if own_terms else self.layout
        desired = self.policy(layout, seen)
        return desired, ration(layout, desired, on_hand)


class _IncidenceSum(Aggregation):
    """Sums messages by node as a product with the incidence matrix (node, edge)."""

    def forward(
        self,
        x: Tensor,
        index: Tensor | None = None,
        ptr: Tensor | None = None,
        dim_size: int | None = None,
        dim: int = -2,
        max_num_elements: int | None = None,
    ) -> Tensor:
        assert index is not None
        assert dim_size is not None
        incidence = index == torch.arange(dim_size, device=index.device)[:, None]
        return incidence.to(x.dtype) @ x


def _with_products(policy: nn.Module, layout: Layout) -> nn.Module:
    """A policy that does the same, with messages summed in the way that is fastest in ONNX."""
    if layout.nodes > SMALL:
        return policy
    changed = copy.deepcopy(policy)
    for module in changed.modules():
        if isinstance(module, MessagePassing):
            module.aggr_module = _IncidenceSum()
    return changed


def _on_own_terms(layout: Layout, own: tuple[Tensor, ...]) -> Layout:
    holding, underage, unit, lead_time = own
    unknown = torch.zeros_like(underage)
    return on_terms(layout, Terms(holding, underage, unit, lead_time.to(torch.int64), unknown, unknown))


def inventory_graph(policy: nn.Module, layout: Layout, window: int, calendar: int) -> bytes:
    """The graph from observation and noise to `desired` and feasible `orders` (row, edge), as ONNX bytes.

    Where the layout's scenarios have terms of their own, they are inputs, too.
    """
    rows = 2  # one row would be taken for a constant
    example = (
        torch.ones(rows, layout.places),
        torch.ones(rows, layout.places, layout.longest_lead_time),
        torch.ones(rows, layout.stores, window),
        torch.ones(rows, calendar),
    )
    arguments = (*example, *(torch.zeros_like(tensor) for tensor in example[:3]))
    names = [*INPUTS, *NOISES]
    if layout.batch > 1:
        arguments += tuple(getattr(layout, name)[:1].expand(rows, -1).to(torch.float32) for name in TERMS)
        names += TERMS
    row = Dim("row", min=1, max=1 << 24)
    with _quiet():
        program = torch.onnx.export(
            _Exported(_with_products(policy, layout), layout).eval(),
            arguments,
            dynamo=True,
            verbose=False,
            dynamic_shapes=_shapes(row, len(arguments)),
            input_names=names,
            output_names=["desired", "orders"],
            opset_version=OPSET,
        )
    if program is None:
        raise RuntimeError("torch gave no ONNX program")
    return _without_traces(program.model_proto)


class GraphRunner:
    """An exported graph as an order policy: what a certificate is computed with is what is shipped."""

    def __init__(self, graph: bytes, window: int) -> None:
        self._session = Session(graph, "policy.onnx", torch.get_num_threads())
        self._window = window

    @property
    def window(self) -> int:
        """How many past demands it looks at, in periods."""
        return self._window

    def __call__(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units; the observation carries its noise already."""
        arrays = [
            np.ascontiguousarray(tensor.numpy())
            for tensor in (
                observation.on_hand,
                observation.in_transit,
                observation.past_demand,
                observation.calendar,
            )
        ]
        silence = [np.zeros_like(array) for array in arrays[:3]]
        inputs = dict(zip((*INPUTS, *NOISES), (*arrays, *silence), strict=True))
        if layout.batch > 1:
            inputs |= {name: getattr(layout, name).numpy().astype(np.float32) for name in TERMS}
        return torch.from_numpy(np.array(self._session.run("desired", inputs)))


def _shapes(row: Dim, arguments: int) -> tuple[Any, ...]:
    """Every argument has rows; those beyond the named ones are one argument to the exporter."""
    named = tuple({0: row} for _ in range(len(INPUTS) + len(NOISES)))
    own = tuple({0: row} for _ in range(arguments - len(named)))
    return (*named, own) if own else named


def _without_traces(model: onnx.ModelProto) -> bytes:
    """The same graph without the exporter's notes, which hold source paths and differ between machines."""
    del model.metadata_props[:]
    for graph in (model.graph, *model.functions):
        del graph.metadata_props[:]
        for node in graph.node:
            node.doc_string = ""
            del node.metadata_props[:]
        for info in graph.value_info:
            del info.metadata_props[:]
    for entry in (*model.graph.initializer, *model.graph.input, *model.graph.output):
        entry.doc_string = ""
        del entry.metadata_props[:]
    return model.SerializeToString(deterministic=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's progress notes off the console."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
