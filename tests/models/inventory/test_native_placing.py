"""What a period is made into for the machine: order, room and large networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from models.inventory.instances import one_warehouse_lost
from models.inventory.layout import Layout, layout_of
from models.inventory.native import build, ordering
from models.inventory.native.ordering import ordered
from models.inventory.native.placing import packed
from models.inventory.native.program import Writer
from models.inventory.observation import Observation
from models.inventory.policies.build import build_policy
from models.inventory.policies.graph import GraphParams
from models.inventory.rollout import rollout
from models.inventory.scenarios import drawn_scenarios

with_a_compiler = pytest.mark.skipif(build.library() is None, reason="there is no C++ compiler")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(1, 7)), min_size=1, max_size=40))
def test_what_lives_at_one_time_never_overlaps(blocks: list[tuple[int, int, int]]) -> None:
    births = np.cumsum([wait for wait, _, _ in blocks])
    deaths = births + [life for _, life, _ in blocks]
    sizes = np.array([size for _, _, size in blocks])
    starts, room = packed(births, deaths, sizes)
    assert (starts >= 0).all()
    assert (starts + sizes <= room).all()
    for time in range(int(deaths.max()) + 1):
        alive = np.flatnonzero((births <= time) & (time <= deaths))
        taken = np.concatenate([np.arange(starts[k], starts[k] + sizes[k]) for k in alive] or [np.zeros(0)])
        assert len(np.unique(taken)) == len(taken)


def test_parts_come_after_what_they_read_and_what_nobody_reads_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "MOST_COLUMNS", 8)
    writer = Writer()
    state = writer.columns((20,), True)
    twice = writer.elementwise("add", [state, state])
    writer.elementwise("exp", [twice])
    back = writer.elementwise("mul", [twice, twice[::-1]])
    parts = ordered(writer.finish(np.zeros(0, dtype=np.int64), state, back, int(back[0])))
    known = set(state.tolist())
    for part in parts:
        assert part.op != "exp"
        assert len(part.out) <= 8
        assert all(int(column) in known for ids in part.operands for column in ids)
        known |= set(part.out.tolist())
    assert set(back.tolist()) <= known


@with_a_compiler
@pytest.mark.parametrize("answer", ["level", "quantity"])
def test_a_network_that_is_played_part_by_part(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a few columns, as a large network has thousands of: the same costs and gradients."""
    monkeypatch.setattr(ordering, "MOST_COLUMNS", 32)
    instance = one_warehouse_lost(12, 0)
    layout = layout_of(instance.network, torch.float64)
    params = GraphParams(answer=answer, width=6, rounds=2, window=2, calendar=0)  # type: ignore[arg-type]
    policy = build_policy(params, layout, 5.0, seed=0)
    scenarios = drawn_scenarios(layout, instance.demand, 5, 4, 2, seed=1)
    figures = []
    for way in ("eager", "native"):
        cost = rollout(layout, policy, scenarios, execution=way)
        figures.append(
            [cost.detach(), *torch.autograd.grad(cost[:, 1:].mean(), list(policy.parameters()), materialize_grads=True)]
        )
    for one, other in zip(*figures, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


class Known(nn.Module):
    """Weights met before all else, next to features that want no gradient."""

    window = 1

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.tensor([0.7, 1.3], dtype=torch.float64))
        self.read = nn.Linear(3, 2, dtype=torch.float64)

    def forward(self, layout: Layout, observation: Observation) -> Tensor:
        """Orders (batch, edge) from past demand and what is on hand."""
        scaled = self.first * observation.past_demand.flatten(1)[:, :1]
        seen = torch.cat((scaled[:, :1] * 0.1, observation.past_demand.flatten(1)[:, :1], observation.on_hand), dim=1)
        gate = nn.functional.silu(self.read(seen[:, :3])) * (scaled + self.first)
        return gate.sum(dim=1, keepdim=True).exp().clamp(max=9).expand(-1, layout.edges)


@with_a_compiler
def test_gradients_that_nobody_wants_disturb_none_that_somebody_wants() -> None:
    instance = one_warehouse_lost(1, 0)
    layout = layout_of(instance.network, torch.float64)
    scenarios = drawn_scenarios(layout, instance.demand, 40, 6, 1, seed=2)
    torch.manual_seed(0)
    policy = Known()
    figures = []
    for way in ("eager", "native"):
        cost = rollout(layout, policy, scenarios, execution=way)
        figures.append([cost.detach(), *torch.autograd.grad(cost.mean(), list(policy.parameters()))])
    for one, other in zip(*figures, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
