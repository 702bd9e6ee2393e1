"""What every order policy keeps to: add a member to the family, add a line here."""

from __future__ import annotations

import functools
import sys
import typing
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.inventory.feasibility import ration
from models.inventory.graph_export import GraphRunner, inventory_graph
from models.inventory.layout import Layout, layout_of, terms_of, with_terms
from models.inventory.observation import Observation
from models.inventory.policies.base_stock import BaseStockParams
from models.inventory.policies.build import OrderModule, PolicyParams, build_policy
from models.inventory.policies.capped_base_stock import CappedBaseStockParams
from models.inventory.policies.echelon_base_stock import EchelonBaseStockParams
from models.inventory.policies.graph import GraphParams
from models.inventory.policies.mlp import MLPParams
from models.inventory.policies.newsvendor import NewsvendorParams
from models.inventory.policies.reorder_point import ReorderPointParams
from models.inventory.rollout import rollout
from models.smoothing.torch_graph import TorchGraph
from quaestor.export.inventory_policy import INPUTS, NOISES
from quaestor.export.session import Session
from tests.models.inventory.networks import gamma_scenarios, two_level

MEMBERS: dict[str, PolicyParams] = {
    "graph": GraphParams(width=8, rounds=2, window=4),
    "graph without past demand": GraphParams(width=8, rounds=1, window=0),
    "graph of quantities": GraphParams(answer="quantity", width=8, rounds=1, window=4),
    "mlp": MLPParams(width=8, hidden=2, window=4),
    "mlp without past demand": MLPParams(width=8, hidden=2, window=0),
    "base_stock": BaseStockParams(window=4),
    "base_stock in units": BaseStockParams(window=0),
    "capped_base_stock": CappedBaseStockParams(window=4),
    "echelon_base_stock": EchelonBaseStockParams(window=4),
    "reorder_point": ReorderPointParams(window=4),
    "newsvendor": NewsvendorParams(window=4),
    "newsvendor, learned quantile": NewsvendorParams(quantile="learned", window=4),
}
DRAWN_AT_BIRTH = {name for name, params in MEMBERS.items() if isinstance(params, GraphParams | MLPParams)}
LAYOUT = layout_of(two_level())
SEEDS = st.integers(0, 2**32 - 1)
every_member = pytest.mark.parametrize("name", MEMBERS)
# An export takes seconds: one member shows the way within `make check`, all of them within `make test`, where one
# worker has all tests of a member and exports it once.
EXPORTED = [
    pytest.param(name, marks=[pytest.mark.xdist_group(name), *([pytest.mark.slow] if name != "base_stock" else [])])
    for name in MEMBERS
]
every_export = pytest.mark.parametrize("name", EXPORTED)
TWICE = ("base_stock", "graph", "mlp without past demand")
"""Of each shape one: that bytes do not change is the exporter's doing, not the policy's."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from a second thread and lose much on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def member(name: str, seed: int = 3) -> OrderModule:
    return build_policy(MEMBERS[name], LAYOUT, 6.0, seed)


def observed(seed: int, batch: int, window: int, mean: float = 6.0, spoiled: float = 0.0) -> Observation:
    """A random observation; `spoiled` is the share of readings that are 0, below 0 or a thousand times too large."""
    chance = np.random.default_rng(seed)

    def some(*shape: int) -> Tensor:
        values = mean * chance.gamma(2.0, 0.5, shape)
        strange = chance.choice([0.0, -1.0, 1000.0], shape)
        return torch.from_numpy(np.where(chance.random(shape) < spoiled, values * strange, values)).float()

    return Observation(
        some(batch, LAYOUT.places),
        some(batch, LAYOUT.places, LAYOUT.longest_lead_time),
        some(batch, LAYOUT.stores, window),
        torch.from_numpy(chance.normal(size=(batch, 1))).float(),
    )


@functools.cache
def exported(name: str) -> bytes:
    policy = member(name)
    return inventory_graph(policy, LAYOUT, policy.window, calendar=1)


def rows(seen: Observation, index: slice) -> Observation:
    return Observation(seen.on_hand[index], seen.in_transit[index], seen.past_demand[index], seen.calendar[index])


def test_every_member_of_the_family_is_here() -> None:
    assert {type(params) for params in MEMBERS.values()} == set(typing.get_args(PolicyParams))
    kinds = [params.kind for params in MEMBERS.values()]
    assert len({type(params) for params in MEMBERS.values()}) == len(set(kinds))


@every_member
def test_it_says_how_far_back_it_looks_and_plays_a_rollout(name: str) -> None:
    policy = member(name)
    assert isinstance(policy.window, int)
    assert policy.window == MEMBERS[name].window
    scenarios = gamma_scenarios(LAYOUT, batch=3, periods=9, history=policy.window, seed=1)
    costs = rollout(LAYOUT, policy, scenarios)
    assert costs.shape == (3, 9)
    assert torch.isfinite(costs).all()


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 9), st.sampled_from([0.01, 6.0, 20_000.0]), st.sampled_from([0.0, 0.1, 0.7]))
@every_member
def test_orders_are_finite_and_never_negative(name: str, seed: int, batch: int, mean: float, spoiled: float) -> None:
    """Noise can make any reading absurd, and the answer must still be an order."""
    policy = member(name)
    with torch.no_grad():
        orders = policy(LAYOUT, observed(seed, batch, policy.window, mean, spoiled))
    assert orders.shape == (batch, LAYOUT.edges)
    assert orders.dtype == torch.float32
    assert torch.isfinite(orders).all()
    assert (orders >= 0).all()


@every_member
def test_the_same_observation_gives_the_same_orders_and_is_left_alone(name: str) -> None:
    policy = member(name)
    seen = observed(1, 5, policy.window, spoiled=0.1)
    kept = deepcopy(seen)
    with torch.no_grad():
        first, second = policy(LAYOUT, seen), policy(LAYOUT, seen)
    assert torch.equal(first, second)
    for part in ("on_hand", "in_transit", "past_demand", "calendar"):
        assert torch.equal(getattr(seen, part), getattr(kept, part))


@every_member
def test_a_row_is_decided_by_itself(name: str) -> None:
    policy = member(name)
    seen = observed(2, 6, policy.window)
    with torch.no_grad():
        together = policy(LAYOUT, seen)
        alone = torch.cat([policy(LAYOUT, rows(seen, slice(row, row + 1))) for row in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", sorted(MEMBERS.keys() - DRAWN_AT_BIRTH))
def test_more_stock_never_means_more_orders_in_a_classical_policy(name: str) -> None:
    policy = member(name)
    seen = observed(4, 50, policy.window)
    fuller = Observation(seen.on_hand + 1.0, seen.in_transit, seen.past_demand, seen.calendar)
    with torch.no_grad():
        before, after = policy(LAYOUT, seen), policy(LAYOUT, fuller)
    assert (after <= before).all()
    assert (after < before).any()


@every_member
def test_it_is_built_alike_from_the_same_seed(name: str) -> None:
    one, again, other = (member(name, seed).state_dict() for seed in (3, 3, 4))
    assert one
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one) == (name in DRAWN_AT_BIRTH)


@every_member
def test_building_it_does_not_touch_the_global_stream_of_chance(name: str) -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    member(name)
    assert torch.equal(torch.rand(3), expected)


@every_export
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_the_export_gives_the_same_orders(name: str, batch: int) -> None:
    policy = member(name)
    runner = GraphRunner(exported(name), policy.window)
    assert runner.window == policy.window
    for seed in range(5):
        seen = observed(seed, batch, policy.window, spoiled=0.1 * (seed % 2))
        with torch.no_grad():
            expected = policy(LAYOUT, seen)
        torch.testing.assert_close(runner(LAYOUT, seen), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MEMBERS if name != "newsvendor"])  # one ratio of costs for all
def test_the_export_orders_each_row_on_its_own_terms(name: str) -> None:
    params = replace(MEMBERS[name], terms=True) if isinstance(MEMBERS[name], MLPParams) else MEMBERS[name]
    chance = np.random.default_rng(4)

    def on_own_terms(rows: int) -> Layout:
        own = {
            field: getattr(LAYOUT, field) * torch.from_numpy(chance.uniform(0.5, 2.0, (rows, 1))).float()
            for field in ("holding_cost", "underage_cost", "unit_cost")
        }
        lead_time = torch.from_numpy(chance.integers(1, LAYOUT.longest_lead_time + 1, (rows, LAYOUT.edges)))
        return with_terms(LAYOUT, replace(terms_of(LAYOUT), **own, lead_time=lead_time))

    policy = build_policy(params, on_own_terms(4), 6.0, 3)
    graph = inventory_graph(policy, on_own_terms(4), policy.window, calendar=1)
    runner, torch_graph = GraphRunner(graph, policy.window), TorchGraph(graph, policy.window)
    for rows in (2, 7):
        layout, seen = on_own_terms(rows), observed(rows, rows, policy.window)
        with torch.no_grad():
            expected = policy(layout, seen)
        torch.testing.assert_close(runner(layout, seen), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(torch_graph(layout, seen).detach(), expected, rtol=1e-4, atol=1e-4)
        turned = layout.rows(torch.arange(rows).roll(1))
        if isinstance(params, GraphParams | MLPParams):  # terms reach the answer, row by row
            assert not torch.allclose(runner(turned, seen), expected, rtol=1e-3, atol=1e-3)


def test_messages_of_a_large_network_are_summed_to_the_same_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, small = member("graph"), exported("graph")
    monkeypatch.setattr("models.inventory.graph_export.SMALL", 0)
    graph = inventory_graph(policy, LAYOUT, policy.window, calendar=1)
    assert graph != small
    seen = observed(3, 7, policy.window)
    with torch.no_grad():
        expected = policy(LAYOUT, seen)
    for runner in (GraphRunner(graph, policy.window), TorchGraph(graph, policy.window)):
        torch.testing.assert_close(runner(LAYOUT, seen).detach(), expected, rtol=1e-4, atol=1e-4)


@every_export
def test_the_export_adds_noise_to_what_is_seen_and_rations_what_is_there(name: str) -> None:
    policy = member(name)
    true, noisy = (observed(seed, 7, policy.window) for seed in (5, 6))
    parts = [(getattr(true, part), getattr(noisy, part)) for part in INPUTS[:3]]
    inputs = {part: getattr(true, part).numpy() for part in INPUTS}
    inputs |= {noise: (seen - there).numpy() for noise, (there, seen) in zip(NOISES, parts, strict=True)}
    session = Session(exported(name), "policy.onnx")
    with torch.no_grad():
        desired = policy(LAYOUT, Observation(noisy.on_hand, noisy.in_transit, noisy.past_demand, true.calendar))
        feasible = ration(LAYOUT, desired, true.on_hand)
    torch.testing.assert_close(torch.from_numpy(session.run("desired", inputs)), desired, rtol=1e-3, atol=1e-3)
    orders = torch.from_numpy(session.run("orders", inputs))
    torch.testing.assert_close(orders, feasible, rtol=1e-3, atol=1e-3)
    assert (orders < desired * 0.99).any()  # some stock was scarce, or this would show nothing


@every_export
def test_the_export_holds_no_trace_of_this_machine(name: str) -> None:
    for trace in (str(Path(__file__).parents[2]), sys.prefix, "site-packages", "models/inventory", "graph_export.py"):
        assert trace.encode() not in exported(name), trace


@pytest.mark.parametrize("name", [each for each in EXPORTED if each.values[0] in TWICE])
def test_exporting_twice_gives_the_same_bytes(name: str) -> None:
    policy = member(name)
    assert inventory_graph(policy, LAYOUT, policy.window, calendar=1) == exported(name)
