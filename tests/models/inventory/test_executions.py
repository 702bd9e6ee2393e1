"""Every execution plays the same: what is remembered, what is recorded, what is refused."""

from __future__ import annotations

import pytest
import torch

from models.inventory import period
from models.inventory.instances import one_warehouse_lost
from models.inventory.layout import Layout, layout_of
from models.inventory.native.lowering import UnsupportedError
from models.inventory.policies.build import OrderModule, build_policy
from models.inventory.policies.graph import GraphParams
from models.inventory.rollout import rollout
from models.inventory.scenarios import Scenarios, drawn_scenarios

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def warehouse(batch: int, dtype: torch.dtype) -> tuple[Layout, OrderModule, Scenarios]:
    instance = one_warehouse_lost(3, 0)
    layout = layout_of(instance.network, dtype)
    policy = build_policy(GraphParams(width=8, rounds=1, window=2, calendar=0), layout, 5.0, seed=0)
    return layout, policy, drawn_scenarios(layout, instance.demand, batch, 23, 2, seed=1)


def gradients(layout: Layout, policy: OrderModule, scenarios: Scenarios, execution: str) -> list[torch.Tensor]:
    cost = rollout(layout, policy, scenarios, execution=execution)  # type: ignore[arg-type]
    return [cost.detach(), *torch.autograd.grad(cost[:, 3:].mean(), list(policy.parameters()))]


def test_periods_that_are_computed_again_give_the_same_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """23 periods in tens: the last stretch is shorter."""
    case = warehouse(6, torch.float64)
    remembered = gradients(*case, "eager")
    monkeypatch.setattr(period, "REMEMBERED", 0)
    for one, other in zip(remembered, gradients(*case, "eager"), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_recorded_episode_needs_a_gpu() -> None:
    with pytest.raises(UnsupportedError, match="without a GPU"):
        rollout(*warehouse(6, torch.float32), execution="captured")


@on_gpu
def test_a_recorded_episode_agrees_with_eager_torch_and_follows_its_weights() -> None:
    layout, policy, scenarios = warehouse(64, torch.float32)
    case = layout.to("cuda"), policy.to("cuda"), scenarios.to("cuda")
    for _ in range(2):
        for one, other in zip(gradients(*case, "eager"), gradients(*case, "captured"), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
        with torch.no_grad():
            for weight in policy.parameters():
                weight.mul_(1.1)
