"""The machine plays what torch plays: the same costs, states and gradients, on any network and for any policy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.inventory.instances import (
    Instance,
    many_warehouses_lost,
    one_store_lost,
    one_warehouse_lost,
    serial,
    transshipment,
)
from models.inventory.layout import Layout, Terms, layout_of, with_terms
from models.inventory.native import build, operator
from models.inventory.native.lowering import UnsupportedError
from models.inventory.network import Network
from models.inventory.observation import Observation, ObservationNoise
from models.inventory.policies.build import OrderModule, PolicyParams, build_policy
from models.inventory.policies.graph import GraphParams
from models.inventory.policies.mlp import MLPParams
from models.inventory.rollout import play, rollout, weighed
from models.inventory.scenarios import Scenarios, drawn_scenarios
from tests.conformance.test_order_policies import MEMBERS
from tests.models.inventory.networks import gamma_scenarios, networks, two_level

pytestmark = pytest.mark.skipif(build.library() is None, reason="there is no C++ compiler")

INSTANCES: dict[str, Instance] = {
    "one store": one_store_lost(3, 9.0),
    "serial": serial(2, 9.0),
    "one warehouse": one_warehouse_lost(3, 0),
    "transshipment": transshipment(3, 2, 9.0, 0.5, 0),
    "many warehouses": many_warehouses_lost(0),
}
POLICIES: dict[str, PolicyParams] = {
    "mlp": MLPParams(width=12, hidden=2, window=2, calendar=0),
    "graph": GraphParams(width=12, rounds=1, window=0, calendar=0),
    "graph of quantities": GraphParams(answer="quantity", width=8, rounds=2, window=3, calendar=0),
}


def drawn(
    name: str, policy: str, batch: int, periods: int, dtype: torch.dtype = torch.float64, seed: int = 0
) -> tuple[Layout, OrderModule, Scenarios]:
    layout = layout_of(INSTANCES[name].network, dtype).relaxed()
    built = build_policy(POLICIES[policy], layout, 5.0, seed)
    with torch.no_grad():
        for weight in built.parameters():
            if not weight.any():  # what starts at 0 would hide a gradient
                weight.normal_(0, 0.1, generator=torch.Generator().manual_seed(seed))
    return layout, built, drawn_scenarios(layout, INSTANCES[name].demand, batch, periods, 4, seed)


def played(layout: Layout, policy: nn.Module, scenarios: Scenarios, execution: str, **rest: object) -> list[Tensor]:
    """Costs, final state and gradients of an uneven loss over all of them."""
    cost, after = play(layout, policy, scenarios, execution=execution, **rest)  # type: ignore[arg-type]
    weight = torch.linspace(0.5, 1.5, cost.numel(), dtype=cost.dtype).view_as(cost)
    loss = (cost * weight).mean() + after.on_hand.square().mean() + after.in_transit.sum(dim=(1, 2)).mean()
    weights = list(policy.parameters())
    gradients = torch.autograd.grad(loss, weights, allow_unused=True) if weights else ()
    return [cost.detach(), after.on_hand.detach(), after.in_transit.detach(), *whole(policy, gradients)]


def whole(policy: nn.Module, gradients: tuple[Tensor | None, ...]) -> list[Tensor]:
    pairs = zip(policy.parameters(), gradients, strict=True)
    return [torch.zeros_like(weight) if gradient is None else gradient for weight, gradient in pairs]


def agree(one: list[Tensor], other: list[Tensor], tolerance: float) -> None:
    largest = max(
        (float(tensor.abs().max()) for tensor in one[3:]), default=1.0
    )  # gradients are judged against the largest
    for k, (a, b) in enumerate(zip(one, other, strict=True)):
        scale = max(float(a.abs().max()), largest, 1e-9) if k >= 3 else 1 + float(a.abs().max())
        torch.testing.assert_close(a / scale, b / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "name",
    [
        "one store",
        pytest.param("one warehouse", marks=pytest.mark.slow),
        *[pytest.param(name, marks=pytest.mark.slow) for name in ("serial", "transshipment", "many warehouses")],
    ],
)
def test_the_machine_agrees_with_torch_in_double_precision(name: str, policy: str) -> None:
    case = drawn(name, policy, 37, 9)
    agree(played(*case, "eager"), played(*case, "native"), 1e-10)


@pytest.mark.parametrize(
    ("name", "policy"),
    [("one store", "mlp"), pytest.param("many warehouses", "graph of quantities", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("kept", [0, 200_000, 1 << 30])
def test_what_is_descended_on_is_the_weighed_sum_of_costs(
    name: str, policy: str, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of the periods are kept as they were computed."""
    monkeypatch.setattr(operator, "KEPT_BYTES", kept)
    layout, built, scenarios = drawn(name, policy, 75, 11)
    weight = torch.linspace(0.5, 1.5, 11)[None] / 75  # of one scenario, in another precision: as torch would take it
    figures = []
    for way in ("eager", "native"):
        loss, cost, after = weighed(layout, built, scenarios, weight, way)  # type: ignore[arg-type]
        assert not cost.requires_grad
        assert not after.on_hand.requires_grad
        torch.testing.assert_close(loss.detach(), (cost * weight).sum())
        gradients = torch.autograd.grad(-3 * loss, list(built.parameters()), allow_unused=True)
        figures.append([cost, after.on_hand, after.in_transit, *whole(built, gradients)])
    agree(*figures, 1e-10)  # type: ignore[misc]


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMBERS)
def test_every_member_of_the_family_is_played_by_the_machine(name: str) -> None:
    """Classical policies, too: `native` would refuse what it does not know."""
    layout = layout_of(two_level(), torch.float64)
    policy = build_policy(MEMBERS[name], layout, 6.0, 3)
    scenarios = gamma_scenarios(layout, 21, 8, 16, seed=4)
    agree(played(layout, policy, scenarios, "eager"), played(layout, policy, scenarios, "native"), 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", INSTANCES)
def test_in_single_precision_the_machine_errs_no_more_than_torch(name: str) -> None:
    """Both are compared with double precision; the machine may be three times as far from it, and 2e-6."""
    exact = [tensor.float() for tensor in played(*drawn(name, "graph", 200, 30), "eager")]
    case = drawn(name, "graph", 200, 30, torch.float32)
    largest = max(float(tensor.abs().max()) for tensor in exact[3:])
    torch_misses, machine_misses = (
        max(float((a - b).abs().max()) / largest for a, b in zip(exact[3:], played(*case, way)[3:], strict=True))
        for way in ("eager", "native")
    )
    assert machine_misses <= 3 * torch_misses + 2e-6


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 12),
    st.sampled_from(list(INSTANCES)),
    st.sampled_from(list(POLICIES)),
    st.integers(0, 99),
)
def test_any_batch_and_horizon(batch: int, periods: int, name: str, policy: str, seed: int) -> None:
    case = drawn(name, policy, batch, periods, seed=seed)
    agree(played(*case, "eager"), played(*case, "native"), 1e-9)


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(networks(), st.sampled_from(["graph", "mlp"]), st.integers(0, 99))
def test_any_network(network: Network, kind: str, seed: int) -> None:
    """Cross-docks, whole units, stores that supply stores, several suppliers."""
    layout = layout_of(network, torch.float64)
    params = GraphParams(width=4, rounds=2, window=2) if kind == "graph" else MLPParams(width=4, hidden=1, window=2)
    policy = build_policy(params, layout, 6.0, seed)
    scenarios = gamma_scenarios(layout, 5, 6, 3, seed)
    truth = played(layout, policy, scenarios, "eager")
    assume(all(tensor.isfinite().all() for tensor in truth))  # a warehouse that serves nobody has no scale of demand
    agree(truth, played(layout, policy, scenarios, "native"), 1e-9)


def test_threads_do_not_change_a_bit() -> None:
    case = drawn("one store", "mlp", 700, 6, torch.float32)
    threads = torch.get_num_threads()
    results = []
    layout, policy, scenarios = case
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        loss, *_ = weighed(layout, policy, scenarios, torch.ones(700, 6), "native")
        gradients = torch.autograd.grad(loss, list(policy.parameters()), materialize_grads=True)
        results.append([*played(*case, "native"), *gradients])
    torch.set_num_threads(threads)
    for again in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], again, strict=True))


def test_scenarios_with_terms_of_their_own_and_noise() -> None:
    layout, policy, scenarios = drawn("one store", "mlp", 33, 7)
    terms = Terms(
        layout.holding_cost.repeat(33, 1) * torch.linspace(0.5, 2, 33, dtype=torch.float64)[:, None],
        *(getattr(layout, name).repeat(33, 1) for name in ("underage_cost", "unit_cost")),
        torch.arange(33)[:, None] % 3 + 1,
        layout.demand_mean.repeat(33, 1) * torch.linspace(1, 2, 33, dtype=torch.float64)[:, None],
        layout.demand_deviation.repeat(33, 1),
    )
    own = with_terms(layout, terms)
    chance = np.random.default_rng(0)
    noise = ObservationNoise(
        *(torch.from_numpy(chance.normal(size=shape)) for shape in ((33, 7, 1), (33, 7, 1, 3), (33, 1, 11)))
    )
    agree(
        played(own, policy, scenarios, "eager", noise=noise),
        played(own, policy, scenarios, "native", noise=noise),
        1e-10,
    )


def test_new_weights_are_played_without_a_new_trace() -> None:
    layout, policy, scenarios = drawn("one store", "mlp", 20, 5)
    rollout(layout, policy, scenarios, execution="native")
    with torch.no_grad():
        for weight in policy.parameters():
            weight.mul_(1.5)
    costs = [rollout(layout, policy, scenarios, execution=way) for way in ("eager", "native")]  # type: ignore[arg-type]
    torch.testing.assert_close(*costs)


def test_whole_units_are_ordered_in_whole_units() -> None:
    layout, policy, scenarios = drawn("one warehouse", "mlp", 50, 12)
    whole_units = replace(layout, whole_units=True)
    agree(played(whole_units, policy, scenarios, "eager"), played(whole_units, policy, scenarios, "native"), 1e-10)


class Undecided(nn.Module):
    """Looks at the value of what it sees before it decides: nothing that could be traced."""

    window = 0

    def forward(self, layout: Layout, observation: Observation) -> Tensor:
        level = 5.0 if observation.on_hand.sum() > 0 else 7.0
        return observation.on_hand.new_full((len(observation.on_hand), layout.edges), level)


def test_what_the_machine_does_not_know_is_played_by_torch() -> None:
    layout, _, scenarios = drawn("one store", "mlp", 1000, 10)
    with torch.no_grad():
        assert torch.equal(
            rollout(layout, Undecided(), scenarios), rollout(layout, Undecided(), scenarios, execution="eager")
        )
    with pytest.raises(UnsupportedError, match="trace"):
        rollout(layout, Undecided(), scenarios, execution="native")


def test_without_a_compiler_torch_plays(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    layout, policy, scenarios = drawn("one store", "mlp", 2000, 5, torch.float32)
    with_it = rollout(layout, policy, scenarios)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    build.library.cache_clear()
    try:
        without = rollout(layout, policy, scenarios)
        rollout(layout, policy, scenarios)
    finally:
        build.library.cache_clear()
    assert sum("C++ compiler" in record.message for record in caplog.records if record.levelname == "WARNING") == 1
    torch.testing.assert_close(with_it, without, rtol=1e-4, atol=1e-4)


def test_a_broken_compiler_is_reported_and_torch_plays(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    broken = tmp_path / "c++"
    broken.write_text("#!/bin/sh\ncase $1 in --version) echo broken 1.0;; *) echo no space left >&2; exit 1;; esac\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    monkeypatch.setenv("QUAESTOR_CACHE", str(tmp_path / "cache"))
    build.library.cache_clear()
    try:
        assert build.library() is None
    finally:
        build.library.cache_clear()
    assert "no space left" in caplog.text
    assert not list((tmp_path / "cache").glob("*.so"))


def test_where_nothing_can_be_kept_a_process_compiles_its_own(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    compiled = build.library()
    assert compiled is not None
    compiler, no_folder = tmp_path / "c++", tmp_path / "file"
    compiler.write_text(
        "#!/bin/sh\ncase $1 in --version) echo 1.0; exit;; esac\n"
        f"while [ $1 != -o ]; do shift; done\ncp {compiled._name} $2\n"
    )
    compiler.chmod(0o755)
    no_folder.write_text("")
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("QUAESTOR_CACHE", str(no_folder))
    build.library.cache_clear()
    try:
        layout, policy, scenarios = drawn("one store", "mlp", 20, 5)
        torch.testing.assert_close(*(rollout(layout, policy, scenarios, execution=way) for way in ("eager", "native")))  # type: ignore[arg-type]
    finally:
        build.library.cache_clear()
    assert "compiles its own" in caplog.text
    assert no_folder.read_text() == ""


def test_a_network_of_two_levels_and_a_policy_with_a_calendar() -> None:
    layout = layout_of(two_level(), torch.float64)
    policy = build_policy(GraphParams(width=8, rounds=1, window=3, calendar=2), layout, 6.0, 1)
    chance = np.random.default_rng(5)
    scenarios = Scenarios(
        demand=torch.from_numpy(chance.gamma(2.0, 3.0, (19, layout.stores, 11))),
        calendar=torch.from_numpy(chance.normal(size=(11, 2))),
        on_hand=torch.from_numpy(chance.gamma(2.0, 3.0, (19, layout.places))),
        in_transit=torch.zeros(19, layout.places, layout.longest_lead_time, dtype=torch.float64),
        history=4,
    )
    agree(played(layout, policy, scenarios, "eager"), played(layout, policy, scenarios, "native"), 1e-10)
