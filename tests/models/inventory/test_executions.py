"""Every execution plays the same: what is remembered, what is recorded, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.inventory import captured, period
from models.inventory.hdpo import HDPOParams, train
from models.inventory.instances import one_warehouse_lost
from models.inventory.layout import Layout, layout_of
from models.inventory.mixed_precision import MixedPrecision
from models.inventory.native.lowering import UnsupportedError
from models.inventory.policies.build import OrderModule, build_policy
from models.inventory.policies.graph import GraphParams
from models.inventory.rollout import rollout, weighed
from models.inventory.scenarios import Scenarios, drawn_scenarios
from models.smoothing.noise import standard_noise

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def warehouse(batch: int, dtype: torch.dtype) -> tuple[Layout, OrderModule, Scenarios]:
    instance = one_warehouse_lost(3, 0)
    layout = layout_of(instance.network, dtype)
    policy = build_policy(GraphParams(width=8, rounds=1, window=2, calendar=0), layout, 5.0, seed=0)
    return layout, policy, drawn_scenarios(layout, instance.demand, batch, 23, 2, seed=1)


def gradients(
    layout: Layout, policy: OrderModule | MixedPrecision, scenarios: Scenarios, execution: str
) -> list[torch.Tensor]:
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


class Recorder:
    """Stands in for a CUDA graph: reads and writes where it read and wrote at first, and counts its recordings."""

    def __init__(self) -> None:
        self.recordings = 0

    def __call__(self, episode: nn.Module, example: captured.Given) -> Callable[..., tuple[Tensor, ...]]:
        self.recordings += 1
        results = [result.detach().clone() for result in episode(*example)]
        sizes = [tensor.shape for tensor in example]

        def replay(*given: Tensor) -> tuple[Tensor, ...]:
            assert [tensor.shape for tensor in given] == sizes
            for kept, new in zip(example, given, strict=True):
                kept.copy_(new)
            fresh = episode(*example)
            for kept, new in zip(results, fresh, strict=True):
                kept.copy_(new.detach())
            placed: Any = _Where.apply
            return tuple(placed(new, kept) for new, kept in zip(fresh, results, strict=True))

        return replay


class _Where(torch.autograd.Function):
    """The same values, in the memory of the recording."""

    @staticmethod
    def forward(ctx: Any, fresh: Tensor, kept: Tensor) -> Tensor:
        return kept.detach()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """All of captured.py but the recording itself, without a GPU."""
    stand_in = Recorder()
    monkeypatch.setattr(captured, "DEVICES", ("cpu",))
    monkeypatch.setattr(captured, "_with_gradient", stand_in)
    monkeypatch.setattr(captured, "_without_gradient", stand_in)
    monkeypatch.setattr(captured, "_recorded", {})
    return stand_in


def test_a_size_is_recorded_once_and_follows_its_weights(recorder: Recorder) -> None:
    layout, policy, scenarios = warehouse(6, torch.float64)
    for turn in range(3):
        fresh = scenarios.rows(torch.randperm(6, generator=torch.Generator().manual_seed(turn)))
        for one, other in zip(
            gradients(layout, policy, fresh, "eager"), gradients(layout, policy, fresh, "captured"), strict=True
        ):
            torch.testing.assert_close(one, other)
        with torch.no_grad():
            for weight in policy.parameters():
                weight.mul_(1.1)
            for execution in ("eager", "captured"):  # judging is a recording of its own
                rollout(layout, policy, fresh, execution=execution)
    assert recorder.recordings == 2
    policy.float().double()  # other memory: the recording would go on reading the old one
    gradients(layout, policy, scenarios, "captured")
    gradients(layout, policy, scenarios.rows(torch.arange(4)), "captured")
    assert recorder.recordings == 4
    assert len(captured._recorded) <= captured.KEPT


def test_what_a_recording_gave_does_not_change_with_the_next(recorder: Recorder) -> None:
    layout, policy, scenarios = warehouse(6, torch.float64)
    first = rollout(layout, policy, scenarios, execution="captured")
    before = first.detach().clone()
    later = rollout(layout, policy, scenarios.rows(torch.arange(6).flip(0)), execution="captured")
    assert torch.equal(first, before)
    torch.testing.assert_close(later, before.flip(0))
    torch.autograd.grad(later.mean(), list(policy.parameters()))
    with pytest.raises(RuntimeError, match="before the gradient"):
        torch.autograd.grad(first.mean(), list(policy.parameters()))


def test_gradients_of_several_recorded_rollouts_add_up(recorder: Recorder) -> None:
    layout, policy, scenarios = warehouse(6, torch.float64)
    counts = (torch.arange(23) >= 3).double().expand(6, -1) / (6 * 20)  # as `gradients` takes the mean
    left: list[Tensor] = []
    for _ in range(2):
        loss, *_ = weighed(layout, policy, scenarios, counts, "captured")
        for gradient in left:
            gradient.fill_(torch.nan)  # a replayed gradient is written over the one before
        loss.backward()
        left = [weight.grad for weight in policy.parameters() if weight.grad is not None]
    expected = gradients(layout, policy, scenarios, "eager")[1:]
    for weight, once in zip(policy.parameters(), expected, strict=True):
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad, 2 * once)


def test_a_long_horizon_is_judged_in_stretches(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """With noise as certification hears it, too."""
    monkeypatch.setattr(captured, "STRETCH", 10)
    layout, policy, scenarios = warehouse(6, torch.float64)
    noise = standard_noise(layout, scenarios, 6, seed=3)
    with torch.no_grad():
        for heard in (None, noise):
            one, other = (rollout(layout, policy, scenarios, heard, execution=way) for way in ("captured", "eager"))
            torch.testing.assert_close(one, other)
    assert recorder.recordings == 4  # 23 periods: ten, twice, and three


def test_products_in_half_precision_stay_near(recorder: Recorder) -> None:
    """Costs within 1 % in every scenario, gradients within 5 % of their length; stock is counted in full precision."""
    layout, policy, scenarios = warehouse(64, torch.float32)
    mixed = MixedPrecision(policy)
    full, near, replayed = (
        gradients(layout, of, scenarios, way) for of, way in ((policy, "eager"), (mixed, "eager"), (mixed, "captured"))
    )
    torch.testing.assert_close(near[0].sum(dim=1), full[0].sum(dim=1), rtol=0.01, atol=0.0)
    one, other = (torch.cat([gradient.flatten() for gradient in of[1:]]) for of in (full, near))
    assert 0 < float((one - other).norm()) <= 0.05 * float(one.norm())
    assert all(torch.equal(a, b) for a, b in zip(near, replayed, strict=True))
    assert all(weight.dtype == torch.float32 for weight in mixed.parameters())


def test_on_a_cpu_mixed_precision_trains_as_full_does() -> None:
    """It would gain nothing there."""
    weights = []
    for precision in ("full", "mixed"):
        layout, policy, scenarios = warehouse(8, torch.float32)
        params = HDPOParams(epochs=1, batch=4, precision=precision)
        train(policy, layout, scenarios, scenarios, params, warmup=3)
        weights.append(policy.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@on_gpu
def test_judging_is_recorded_too() -> None:
    layout, policy, scenarios = warehouse(64, torch.float32)
    case = layout.to("cuda"), policy.to("cuda"), scenarios.to("cuda")
    with torch.no_grad():
        for noise in (None, standard_noise(case[0], case[2], 64, seed=3)):
            one, other = (rollout(*case, noise, execution=way) for way in ("captured", "eager"))
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


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
