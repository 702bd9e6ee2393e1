"""The graph an attack descends through orders what the exported graph orders."""

from __future__ import annotations

import pytest
import torch

from models.inventory.graph_export import GraphRunner, inventory_graph
from models.inventory.layout import layout_of
from models.inventory.observation import Observation
from models.inventory.policies.base_stock import BaseStockParams
from models.inventory.policies.build import PolicyParams, build_policy
from models.inventory.policies.graph import GraphParams
from models.inventory.policies.mlp import MLPParams
from models.inventory.policies.newsvendor import NewsvendorParams
from models.smoothing.torch_graph import TorchGraph
from tests.models.inventory.networks import two_level

WINDOW = 4


@pytest.mark.parametrize(
    "params",
    [
        GraphParams(width=8, window=WINDOW),
        MLPParams(window=WINDOW),
        NewsvendorParams(window=WINDOW),
        BaseStockParams(window=WINDOW),
    ],
    ids=lambda params: params.kind,
)
def test_it_orders_the_same_and_has_a_gradient(params: PolicyParams) -> None:
    layout = layout_of(two_level())
    draw = torch.Generator().manual_seed(0)
    sizes = ((6, layout.places), (6, layout.places, layout.longest_lead_time), (6, layout.stores, WINDOW), (6, 1))
    seen = [10 * torch.rand(size, generator=draw) for size in sizes]
    policy = build_policy(params, layout, 5.0, seed=0)
    graph = inventory_graph(policy, layout, WINDOW, calendar=1)
    shipped = GraphRunner(graph, WINDOW)(layout, Observation(*seen))
    inputs = [part.requires_grad_() for part in seen]
    followed = TorchGraph(graph, WINDOW)(layout, Observation(*inputs))
    torch.testing.assert_close(followed.detach(), shipped, rtol=1e-4, atol=1e-4)
    by_graph = torch.autograd.grad(followed.sum(), inputs[:3])
    by_policy = torch.autograd.grad(policy(layout, Observation(*inputs)).sum(), inputs[:3])
    for found, expected in zip(by_graph, by_policy, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
