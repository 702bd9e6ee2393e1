"""Many problems of one shape, such as thousands of products, trained in one program, each with weights of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from models.inventory.dynamics import State
from models.inventory.hdpo import (
    Epoch,
    HDPOParams,
    TrainingDivergedError,
    as_met,
    counted_share,
    learning_rate,
    loss_weight,
    segments_of,
    shuffled,
)
from models.inventory.layout import Layout
from models.inventory.native.lowering import UnsupportedError
from models.inventory.native.play import native_play, native_weighed
from models.inventory.observation import Observation
from models.inventory.rollout import play
from models.inventory.scenarios import Scenarios
from quaestor.errors import UsageError

Weights: TypeAlias = dict[str, Tensor]
"""Weights by name, (problem, ...)."""


def train_many(
    policies: Sequence[Any],
    layout: Layout,
    train_scenarios: Sequence[Scenarios],
    dev_scenarios: Sequence[Scenarios],
    params: HDPOParams,
    warmup: int,
) -> list[tuple[Epoch, ...]]:
    """Trains each policy on its own scenarios, as `hdpo.train` would alone, and returns the learning curves.

    policies: one for each problem, built alike; they may differ in their weights and in nothing else. layout: of all
    problems; its terms are shared, or there is a row of them for each problem. Every problem has as many scenarios for
    training and for dev as the others. Policies are left with the weights of their best dev epoch.
    Raises UsageError where problems differ in shape, TrainingDivergedError where a loss or gradient is not finite.
    """
    count = len(policies)
    _refuse_unlike(policies, layout, train_scenarios, dev_scenarios)
    known, dev = _together(train_scenarios), _together(dev_scenarios)
    template = deepcopy(policies[0])
    weights = {name: torch.stack([dict(_all(p))[name].detach() for p in policies]) for name, _ in _all(template)}
    learned = [name for name, weight in template.named_parameters() if weight.requires_grad]
    for name in learned:
        weights[name].requires_grad_()
    optimiser = torch.optim.Adam([weights[name] for name in learned], lr=params.learning_rate)
    emphasis = torch.stack([loss_weight(scenarios, params.scale_exponent) for scenarios in train_scenarios])
    relaxed = layout.relaxed()
    curves: list[list[Epoch]] = [[] for _ in policies]
    best = [0] * count
    kept = {name: weight.detach().clone() for name, weight in weights.items()}
    for number in range(1, params.epochs + 1):
        going_on = [k for k in range(count) if number - 1 - best[k] < params.patience]
        if not going_on:
            break
        if params.shuffles:
            known = _together([as_met(scenarios, params, number) for scenarios in train_scenarios])
        costs = _one_epoch(template, weights, learned, relaxed, known, emphasis, optimiser, params, warmup, number)
        with torch.no_grad():
            cost, _ = _play(template, weights, _rows(layout, dev.batch // count), dev, params)
        dev_costs = (cost[:, warmup:].mean(dim=1) / layout.stores).view(count, -1).mean(dim=1).tolist()
        for k in going_on:
            if not math.isfinite(dev_costs[k]):
                raise TrainingDivergedError(f"Problem {k}: the dev cost of epoch {number} is {dev_costs[k]}.")
            curves[k].append(Epoch(number, costs[k], dev_costs[k]))
            if best[k] == 0 or dev_costs[k] < curves[k][best[k] - 1].dev_cost:
                best[k] = number
                for name, weight in weights.items():
                    kept[name][k] = weight[k].detach()
    for k, policy in enumerate(policies):
        with torch.no_grad():
            for name, weight in _all(policy):
                weight.copy_(kept[name][k])
    return [tuple(curve) for curve in curves]


@dataclass(frozen=True)
class Weighted:
    """A policy with other weights than its own."""

    policy: nn.Module
    weights: Weights

    @property
    def window(self) -> int:
        """How many past demands it looks at, in periods."""
        return _window(self.policy)

    def __call__(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units."""
        return torch.func.functional_call(self.policy, self.weights, (layout, observation))


def _one_epoch(
    template: nn.Module,
    weights: Weights,
    learned: list[str],
    layout: Layout,
    scenarios: Scenarios,
    emphasis: Tensor,
    optimiser: torch.optim.Adam,
    params: HDPOParams,
    warmup: int,
    number: int,
) -> list[float]:
    """Mean cost per store and period of each problem; the steps are those of hdpo.train."""
    problems, each = emphasis.shape
    order = shuffled(each, params.seed, number)
    segments = segments_of(warmup, scenarios.periods, params.segment)
    steps = [(batch, segment) for batch in order.split(params.batch) for segment in segments]
    total = torch.zeros(problems, dtype=torch.float64)
    for index, (batch, (first, end)) in enumerate(steps):
        optimiser.param_groups[0]["lr"] = learning_rate(params, number - 1 + index / len(steps))
        rows = (torch.arange(problems)[:, None] * each + batch).flatten()
        if first == 0:
            state = scenarios.rows(rows).start
        part = scenarios.rows(rows).span(first, end, state)
        share = counted_share(layout, scenarios.periods, warmup, first, end)
        counts = emphasis[:, batch].flatten()[:, None] * share * (len(segments) / len(batch))
        loss, cost, state = _weighed(template, weights, _rows(layout, len(batch)), part, counts, params)
        losses = (cost * counts).view(problems, -1).sum(dim=1)
        optimiser.zero_grad()
        loss.backward()
        norms = _clip(weights, learned, params.gradient_norm)
        lost = torch.nonzero(~(torch.isfinite(losses) & torch.isfinite(norms)))
        if len(lost):
            raise TrainingDivergedError(
                f"Problem {int(lost[0])}, epoch {number}: the loss or its gradient is not finite; lower learning_rate."
            )
        optimiser.step()
        total += (cost * share).view(problems, -1).sum(dim=1)
    return (total / each).tolist()


def _play(
    template: nn.Module, weights: Weights, layout: Layout, scenarios: Scenarios, params: HDPOParams
) -> tuple[Tensor, State]:
    """As rollout.play, problem after problem, each with its own weights."""
    if params.execution != "eager":
        try:
            return native_play(layout, template, _window(template), scenarios, None, weights)
        except UnsupportedError:
            if params.execution == "native":
                raise
    problems = len(next(iter(weights.values())))
    each = scenarios.batch // problems
    plays = []
    for k, rows in enumerate(torch.arange(scenarios.batch).split(each)):
        own = Weighted(template, {name: weight[k] for name, weight in weights.items()})
        plays.append(play(layout.rows(rows), own, scenarios.rows(rows), execution="eager"))
    states = [state for _, state in plays]
    after = State(torch.cat([s.on_hand for s in states]), torch.cat([s.in_transit for s in states]))
    return torch.cat([cost for cost, _ in plays]), after


def _weighed(
    template: nn.Module, weights: Weights, layout: Layout, scenarios: Scenarios, counts: Tensor, params: HDPOParams
) -> tuple[Tensor, Tensor, State]:
    """As rollout.weighed, problem after problem, each with its own weights."""
    if params.execution != "eager":
        try:
            return native_weighed(layout, template, _window(template), scenarios, counts, weights)
        except UnsupportedError:
            if params.execution == "native":
                raise
    cost, after = _play(template, weights, layout, scenarios, params)
    return (cost * counts).sum(), cost.detach(), after.detach()


def _clip(weights: Weights, learned: list[str], limit: float) -> Tensor:
    """Scales each problem's gradient to a norm of at most `limit`; the norms before, (problem,)."""
    gradients = [gradient for name in learned if (gradient := weights[name].grad) is not None]
    norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients], dim=1).norm(dim=1)
    factor = (limit / (norms + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor.view(-1, *[1] * (gradient.ndim - 1)))
    return norms


def _window(policy: nn.Module) -> int:
    window: Any = policy.window
    return int(window)


def _all(policy: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return chain(policy.named_parameters(), policy.named_buffers())


def _rows(layout: Layout, each: int) -> Layout:
    """The layout of `each` scenarios of every problem, one problem after the other."""
    return layout.rows(torch.arange(layout.batch).repeat_interleave(each))


def _together(sets: Sequence[Scenarios]) -> Scenarios:
    first = sets[0]
    demand, on_hand, in_transit = (
        torch.cat([getattr(scenarios, name) for scenarios in sets]) for name in ("demand", "on_hand", "in_transit")
    )
    return Scenarios(demand, first.calendar, on_hand, in_transit, first.history)


def _refuse_unlike(
    policies: Sequence[Any],
    layout: Layout,
    train_scenarios: Sequence[Scenarios],
    dev_scenarios: Sequence[Scenarios],
) -> None:
    count = len(policies)
    if not count == len(train_scenarios) == len(dev_scenarios) or layout.batch not in (1, count):
        raise UsageError(
            f"Each problem needs a policy and scenarios for training and dev, and shares its terms or has a row of its "
            f"own: found {count} policies, {len(train_scenarios)} and {len(dev_scenarios)} sets of scenarios, "
            f"{layout.batch} rows of terms."
        )
    for sets in (train_scenarios, dev_scenarios):
        shapes = {(tuple(scenarios.demand.shape), scenarios.history) for scenarios in sets}
        if len(shapes) > 1 or any(not torch.equal(scenarios.calendar, sets[0].calendar) for scenarios in sets):
            raise UsageError(f"All problems need scenarios of one shape and one calendar; found {sorted(shapes)}.")
    if layout.has_order_costs:
        raise UsageError("Orders with a fixed cost are learned problem by problem: train each policy by itself.")
    if len({(policy.params, policy.typical_demand) for policy in policies}) > 1:
        raise UsageError("Policies that train together are built alike, with one typical_demand; these are not.")
