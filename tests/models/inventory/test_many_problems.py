"""Problems that train together end where each ends alone."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from models.inventory.demand_law import DemandLaw
from models.inventory.hdpo import HDPOParams, train
from models.inventory.instances import one_store_lost
from models.inventory.layout import Layout, Terms, layout_of, with_terms
from models.inventory.many_problems import train_many
from models.inventory.policies.build import OrderModule, build_policy
from models.inventory.policies.mlp import MLPParams
from models.inventory.scenarios import Scenarios, drawn_scenarios
from quaestor.errors import UsageError

PROBLEMS, WARMUP = 4, 3
PARAMS = HDPOParams(epochs=4, batch=16, learning_rate=0.02, patience=2, segment=5)


def problems() -> tuple[Layout, list[OrderModule], list[Scenarios], list[Scenarios]]:
    """A store each, with its own costs, demand and first weights."""
    layout = layout_of(one_store_lost(2, 9.0).network, torch.float64)
    underage = torch.tensor([[4.0], [9.0], [19.0], [39.0]], dtype=torch.float64)
    shared = {name: getattr(layout, name).expand(PROBLEMS, -1) for name in Terms.__annotations__}
    policies = [build_policy(MLPParams(width=8, hidden=1, window=2, calendar=0), layout, 5.0, k) for k in range(4)]
    laws = [DemandLaw("poisson", (mean,)) for mean in (3.0, 5.0, 8.0, 30.0)]
    known, dev = (
        [drawn_scenarios(layout, law, 24, 13, 2, seed=10 * k + start) for k, law in enumerate(laws)] for start in (0, 5)
    )
    return with_terms(layout, Terms(**{**shared, "underage_cost": underage})), policies, known, dev


@pytest.mark.parametrize(("execution", "shuffles"), [("eager", 0), ("auto", 0), ("auto", 2)])
def test_together_as_alone(execution: str, shuffles: int) -> None:
    layout, policies, known, dev = problems()
    params = replace(PARAMS, execution=execution, shuffles=shuffles)  # type: ignore[arg-type]
    alone = deepcopy(policies)
    curves = []
    for k, policy in enumerate(alone):
        own = layout.rows(torch.tensor([k]))
        curves.append(train(policy, own, known[k], dev[k], replace(params, execution="eager"), WARMUP).curve)
    together = train_many(policies, layout, known, dev, params, WARMUP)
    for k in range(PROBLEMS):
        assert [epoch.number for epoch in together[k]] == [epoch.number for epoch in curves[k]]
        for one, other in zip(together[k], curves[k], strict=True):
            assert (one.train_cost, one.dev_cost) == pytest.approx((other.train_cost, other.dev_cost), rel=1e-9)
        for name, weight in alone[k].state_dict().items():
            torch.testing.assert_close(policies[k].state_dict()[name], weight, rtol=1e-8, atol=1e-9)


def test_problems_of_different_shape_are_refused() -> None:
    layout, policies, known, dev = problems()
    with pytest.raises(UsageError, match="4 policies, 3 and 4 sets"):
        train_many(policies, layout, known[:3], dev, PARAMS, WARMUP)
    with pytest.raises(UsageError, match="one shape"):
        train_many(policies, layout, [known[0].rows(torch.arange(5)), *known[1:]], dev, PARAMS, WARMUP)
