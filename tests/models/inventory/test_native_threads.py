"""Threads that play one policy at once each get what they would alone, whoever traces it first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from models.inventory.instances import one_warehouse_lost
from models.inventory.layout import layout_of
from models.inventory.policies.build import OrderModule, build_policy
from models.inventory.policies.mlp import MLPParams
from models.inventory.rollout import rollout
from models.inventory.scenarios import drawn_scenarios


@pytest.mark.slow
def test_threads_do_not_disturb_each_others_traces() -> None:
    """Four threads meet a policy that none has traced, ten times over, with and without gradients."""
    instance = one_warehouse_lost(3, 0)
    layout = layout_of(instance.network)
    scenarios = drawn_scenarios(layout, instance.demand, 64, 60, 0, seed=0)
    for turn in range(10):
        policy = build_policy(MLPParams(width=8, hidden=1, window=0, calendar=0), layout, 5.0, seed=turn)
        with torch.no_grad():
            expected = rollout(layout, policy, scenarios, execution="eager")

        def play(number: int, policy: OrderModule = policy) -> torch.Tensor:
            with torch.set_grad_enabled(number % 2 == 0):
                return rollout(layout, policy, scenarios, execution="native").detach()

        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(play, range(4)):
                torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
