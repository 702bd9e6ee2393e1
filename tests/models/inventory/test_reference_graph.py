"""The graph policy of the reference's size is that size, and the compiled loops play it."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.worlds.reference_graph import ReferenceGraph, multiplications
from models.inventory.instances import one_warehouse_lost
from models.inventory.layout import layout_of
from models.inventory.native import build
from models.inventory.rollout import rollout
from models.inventory.scenarios import drawn_scenarios


def test_it_multiplies_as_often_as_the_reference() -> None:
    """180,288 times a scenario and period for one warehouse and five stores, from some 19,000 weights (Alvo et al.)."""
    layout = layout_of(one_warehouse_lost(5, 0).network)
    assert sum(math.prod(shape) for shape in multiplications(layout)) == 180_288
    weights = sum(weight.numel() for weight in ReferenceGraph(layout.longest_lead_time).parameters())
    assert 18_500 <= weights <= 19_500


@pytest.mark.slow
@pytest.mark.skipif(build.library() is None, reason="there is no C++ compiler")
def test_the_machine_plays_it_as_torch_does() -> None:
    instance = one_warehouse_lost(3, 0)
    layout = layout_of(instance.network, torch.float64)
    scenarios = drawn_scenarios(layout, instance.demand, 20, 5, 0, seed=1)
    torch.manual_seed(0)
    policy = ReferenceGraph(layout.longest_lead_time).double()
    figures = []
    for way in ("eager", "native"):
        cost = rollout(layout, policy, scenarios, execution=way)
        figures.append([cost.detach(), *torch.autograd.grad(cost.mean(), list(policy.parameters()))])
    for one, other in zip(*figures, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
