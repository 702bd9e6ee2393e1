"""Training is repeatable to the bit, goes on where it stopped, and says so when it fails."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from models.inventory.checkpoint import checkpoint_bytes, read_checkpoint
from models.inventory.demand_law import DemandLaw
from models.inventory.hdpo import Checkpoint, HDPOParams, TrainingDivergedError, mean_cost, segments_of, train
from models.inventory.layout import Layout, layout_of
from models.inventory.policies.base_stock import BaseStockParams
from models.inventory.policies.build import OrderModule, PolicyParams, build_policy
from models.inventory.policies.graph import GraphParams
from models.inventory.policies.mlp import MLPParams
from models.inventory.policies.newsvendor import NewsvendorParams
from models.inventory.rollout import rollout
from models.inventory.scenarios import Scenarios, drawn_scenarios
from quaestor.errors import QuaestorError
from tests.models.inventory.networks import gamma_scenarios, one_store, two_level

PARAMS = HDPOParams(epochs=6, batch=4, learning_rate=0.02, patience=6, seed=5)
MEMBERS = [
    GraphParams(width=8, rounds=1, window=4),
    MLPParams(width=8, hidden=1, window=4),
    BaseStockParams(window=4),
    NewsvendorParams(quantile="learned", window=4),
]
WARMUP = 3


@pytest.fixture(scope="module")
def layout() -> Layout:
    return layout_of(two_level())


@pytest.fixture(scope="module")
def learned_on(layout: Layout) -> Scenarios:
    return gamma_scenarios(layout, batch=10, periods=12, history=4, seed=1)


@pytest.fixture(scope="module")
def judged_on(layout: Layout) -> Scenarios:
    return gamma_scenarios(layout, batch=6, periods=12, history=4, seed=2)


class SwitchedOffError(Exception):
    """The machine was switched off."""


def same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_shuffled_periods_go_on_bit_for_bit_and_are_not_those_recorded(
    layout: Layout,
) -> None:
    params, member = replace(PARAMS, segment=4, shuffles=2), MLPParams(width=8, hidden=1, window=0, calendar=0)
    law = DemandLaw("normal", (5.0,) * layout.stores, (2.0,) * layout.stores)
    known, judged_on = (drawn_scenarios(layout, law, 6, 12, 0, seed) for seed in (1, 2))
    kept: list[Checkpoint] = []
    final = train(build_policy(member, layout, 6.0, 1), layout, known, judged_on, params, WARMUP, None, kept.append)
    again = train(build_policy(member, layout, 6.0, 9), layout, known, judged_on, params, WARMUP, kept[1])
    assert again.curve == final.curve
    recorded = replace(params, shuffles=0)
    plain = train(build_policy(member, layout, 6.0, 1), layout, known, judged_on, recorded, WARMUP)
    assert plain.curve[0].train_cost != final.curve[0].train_cost


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.kind)
@pytest.mark.parametrize("stop", [1, 4])
def test_interrupted_training_goes_on_bit_for_bit(
    member: PolicyParams, stop: int, layout: Layout, learned_on: Scenarios, judged_on: Scenarios
) -> None:
    whole = build_policy(member, layout, 6.0, seed=1)
    final = train(whole, layout, learned_on, judged_on, PARAMS, WARMUP)
    kept = b""

    def until_switched_off(checkpoint: Checkpoint) -> None:
        nonlocal kept
        kept = checkpoint_bytes(checkpoint)
        if len(checkpoint.curve) == stop:
            raise SwitchedOffError

    with pytest.raises(SwitchedOffError):
        train(build_policy(member, layout, 6.0, seed=1), layout, learned_on, judged_on, PARAMS, WARMUP, None,
              until_switched_off)  # fmt: skip
    resumed = build_policy(member, layout, 6.0, seed=999)  # its own weights must not matter
    again = train(resumed, layout, learned_on, judged_on, PARAMS, WARMUP, read_checkpoint(kept))
    assert again.curve == final.curve
    assert len(again.curve) == PARAMS.epochs
    assert again.best_epoch == final.best_epoch
    assert same_weights(again.policy, final.policy)
    assert same_weights(resumed.state_dict(), whole.state_dict())


def test_a_checkpoint_is_a_snapshot_also_when_it_stays_in_memory(
    layout: Layout, learned_on: Scenarios, judged_on: Scenarios
) -> None:
    policy = build_policy(MEMBERS[1], layout, 6.0, seed=1)
    checkpoints: list[Checkpoint] = []
    final = train(policy, layout, learned_on, judged_on, PARAMS, WARMUP, None, checkpoints.append)
    assert [len(checkpoint.curve) for checkpoint in checkpoints] == [1, 2, 3, 4, 5, 6]
    assert not same_weights(checkpoints[1].policy, checkpoints[2].policy)
    for _ in range(2):  # using a checkpoint must not wear it out
        again = train(policy, layout, learned_on, judged_on, PARAMS, WARMUP, checkpoints[1])
        assert again.curve == final.curve
        assert same_weights(again.policy, final.policy)


def test_a_checkpoint_goes_through_bytes_unchanged(layout: Layout, learned_on: Scenarios, judged_on: Scenarios) -> None:
    policy = build_policy(MEMBERS[0], layout, 6.0, seed=1)
    final = train(policy, layout, learned_on, judged_on, replace(PARAMS, epochs=2), WARMUP)
    back = read_checkpoint(checkpoint_bytes(final))
    assert (back.curve, back.best_epoch) == (final.curve, final.best_epoch)
    assert same_weights(back.policy, final.policy)
    assert same_weights(back.best_policy, final.best_policy)
    moments = final.optimiser["state"], back.optimiser["state"]
    assert all(torch.equal(moments[0][key]["exp_avg"], moments[1][key]["exp_avg"]) for key in moments[0])


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.kind)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    member: PolicyParams, layout: Layout, learned_on: Scenarios, judged_on: Scenarios
) -> None:
    def trained(seed: int) -> OrderModule:
        policy = build_policy(member, layout, 6.0, seed=1)
        train(policy, layout, learned_on, judged_on, replace(PARAMS, epochs=2, seed=seed), WARMUP)
        return policy

    assert same_weights(trained(7).state_dict(), trained(7).state_dict())
    assert not same_weights(trained(7).state_dict(), trained(8).state_dict())


def test_training_does_not_touch_the_global_stream_of_chance(
    layout: Layout, learned_on: Scenarios, judged_on: Scenarios
) -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    policy = build_policy(MEMBERS[0], layout, 6.0, seed=1)
    train(policy, layout, learned_on, judged_on, replace(PARAMS, epochs=1), WARMUP)
    assert torch.equal(torch.rand(3), expected)


def test_a_scale_that_is_not_a_number_stops_training_with_a_sentence(
    layout: Layout, learned_on: Scenarios, judged_on: Scenarios
) -> None:
    policy = build_policy(BaseStockParams(window=0), layout, float("nan"), seed=1)
    with pytest.raises(TrainingDivergedError, match=r"Epoch 1, batch 1: the loss is nan .*lower learning_rate"):
        train(policy, layout, learned_on, judged_on, PARAMS, WARMUP)


@pytest.mark.parametrize("member", MEMBERS[:3], ids=lambda member: member.kind)
def test_a_huge_learning_rate_stops_training_with_a_sentence(
    member: PolicyParams, layout: Layout, learned_on: Scenarios, judged_on: Scenarios
) -> None:
    policy = build_policy(member, layout, 6.0, seed=1)
    with pytest.raises(TrainingDivergedError, match="lower learning_rate") as caught:
        train(policy, layout, learned_on, judged_on, replace(PARAMS, learning_rate=1e37), WARMUP)
    assert isinstance(caught.value, QuaestorError)
    assert "\n" not in str(caught.value)


def test_a_dev_cost_that_is_not_a_number_stops_training(
    layout: Layout, learned_on: Scenarios, judged_on: Scenarios
) -> None:
    damaged = replace(judged_on, calendar=torch.full_like(judged_on.calendar, torch.nan))
    policy = build_policy(MEMBERS[1], layout, 6.0, seed=1)
    with pytest.raises(TrainingDivergedError, match="The dev cost of epoch 1 is nan"):
        train(policy, layout, learned_on, damaged, PARAMS, WARMUP)


def test_early_stopping_stops_and_gives_back_the_best_weights() -> None:
    """Learned on demand of 12 and judged on demand of 5, the level rises past what is best for the judge."""
    layout = layout_of(one_store(1, 4.0, "backlogged"))
    busy, quiet = (gamma_scenarios(layout, batch=32, periods=12, history=0, seed=1, mean=mean) for mean in (12.0, 5.0))
    policy = build_policy(BaseStockParams(window=0), layout, 5.0, seed=1)
    params = HDPOParams(epochs=60, batch=32, learning_rate=0.1, patience=4, scale_exponent=0.0)
    weights: list[dict[str, torch.Tensor]] = []
    final = train(policy, layout, busy, quiet, params, WARMUP, None, lambda c: weights.append(deepcopy(c.policy)))
    dev = [epoch.dev_cost for epoch in final.curve]
    assert 1 < final.best_epoch == int(np.argmin(dev)) + 1
    assert len(final.curve) == final.best_epoch + params.patience < params.epochs
    assert same_weights(policy.state_dict(), weights[final.best_epoch - 1])
    assert not same_weights(policy.state_dict(), final.policy)
    assert float(mean_cost(layout, policy, quiet, WARMUP).mean()) == pytest.approx(min(dev), rel=1e-6)
    # What has stopped early stays stopped.
    again = train(policy, layout, busy, quiet, params, WARMUP, read_checkpoint(checkpoint_bytes(final)))
    assert again.curve == final.curve


def test_training_lowers_the_cost_and_the_warm_up_does_not_count() -> None:
    layout = layout_of(two_level())
    scenarios = gamma_scenarios(layout, batch=32, periods=14, history=4, seed=1)
    policy = build_policy(BaseStockParams(window=4), layout, 6.0, seed=1)
    before = float(mean_cost(layout, policy, scenarios, WARMUP).mean())
    train(policy, layout, scenarios, scenarios, HDPOParams(epochs=15, batch=16, learning_rate=0.05), WARMUP)
    assert float(mean_cost(layout, policy, scenarios, WARMUP).mean()) < before - 0.5
    with torch.no_grad():
        costs = rollout(layout, policy, scenarios)
    expected = costs[:, WARMUP:].sum(dim=1) / (14 - WARMUP) / 3
    torch.testing.assert_close(mean_cost(layout, policy, scenarios, WARMUP), expected)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch": 0},
        {"patience": 0},
        {"learning_rate": 0.0},
        {"gradient_norm": float("nan")},
        {"shuffles": -1},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_settings_that_cannot_train_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        HDPOParams(**wrong)


def test_segments_follow_each_other_and_the_warm_up_belongs_to_the_first() -> None:
    for warmup, periods, length in [(0, 10, 3), (5, 50, 10), (5, 50, 100), (30, 31, 1), (4, 49, 15)]:
        spans = segments_of(warmup, periods, length)
        assert spans[0][0] == 0
        assert spans[-1][1] == periods
        assert all(end == first for (_, end), (first, _) in pairwise(spans))
        assert spans[0][1] > warmup
        assert all(end - first >= min(length, periods - warmup) for first, end in spans)
    assert segments_of(5, 50, None) == [(0, 50)]


def test_drawn_demand_in_segments_goes_on_bit_for_bit(layout: Layout, judged_on: Scenarios) -> None:
    params = replace(PARAMS, epochs=4, segment=3)

    def draw(epoch: int) -> Scenarios:
        return gamma_scenarios(layout, batch=6, periods=14, history=4, seed=100 + epoch)

    kept: list[Checkpoint] = []
    whole = build_policy(MEMBERS[0], layout, 6.0, seed=1)
    final = train(whole, layout, draw, judged_on, params, WARMUP, None, kept.append)
    resumed = build_policy(MEMBERS[0], layout, 6.0, seed=9)
    again = train(resumed, layout, draw, judged_on, params, WARMUP, read_checkpoint(checkpoint_bytes(kept[1])))
    assert again.curve == final.curve
    assert same_weights(resumed.state_dict(), whole.state_dict())


def test_one_segment_is_the_whole_episode(layout: Layout, learned_on: Scenarios, judged_on: Scenarios) -> None:
    curves = []
    for segment in (None, 12):
        policy = build_policy(MEMBERS[2], layout, 6.0, seed=1)
        curves.append(train(policy, layout, learned_on, judged_on, replace(PARAMS, segment=segment), WARMUP).curve)
    assert curves[0] == curves[1]
