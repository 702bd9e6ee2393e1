"""Hindsight differentiable policy optimisation: descend the gradient of the simulated cost itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from models.inventory.data_parallel import own_part, sum_gradients, summed
from models.inventory.layout import Layout
from models.inventory.mixed_precision import MixedPrecision
from models.inventory.rollout import Execution, OrderPolicy, rollout, weighed
from models.inventory.scenarios import Scenarios
from quaestor.errors import QuaestorError
from quaestor.randomness import stream_seed


@dataclass(frozen=True)
class HDPOParams:
    """How a policy is trained.

    learning_rate falls to 0 on a cosine over `epochs`. patience: epochs without a better dev cost before stopping.
    segment: periods between two steps of the optimiser; an episode goes on from where the segment before it ended,
    and no gradient flows from one to the next (absent: one step an episode).
    shuffles: for demand that is independent between periods, how many times an epoch plays through each scenario's
    periods, in ever new orders, so that no sequence can be learned by heart (0: once, as recorded).
    scale_exponent: a scenario's loss is divided by its mean demand to this power, so that large products do not
    drown small ones in the gradient (0 weighs them by cost, 1 by relative cost). execution: how rollouts are computed
    (see rollout.Execution). precision: mixed multiplies in bfloat16 on a GPU while learning
    (mixed_precision.py) and changes nothing on a CPU; dev costs are those of full precision.
    """

    epochs: int = 40
    batch: int = 24
    learning_rate: float = 3e-3
    gradient_norm: float = 1.0
    patience: int = 20
    segment: int | None = None
    shuffles: int = 0
    scale_exponent: float = 0.5
    seed: int = 0
    execution: Execution = "auto"
    precision: Literal["full", "mixed"] = "full"

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch, self.patience, self.segment or 1) < 1:
            raise ValueError("epochs, batch, patience and segment must be 1 or more.")
        if self.shuffles < 0:
            raise ValueError(f"shuffles must be 0 or more, found {self.shuffles}.")
        if not (self.learning_rate > 0 and self.gradient_norm > 0):
            raise ValueError("learning_rate and gradient_norm must be above 0.")


@dataclass(frozen=True)
class Epoch:
    """One point of the learning curve: mean cost per store and period on train (as trained) and on dev."""

    number: int
    train_cost: float
    dev_cost: float


@dataclass(frozen=True)
class Checkpoint:
    """All that training needs to go on exactly as if it had not stopped."""

    curve: tuple[Epoch, ...]
    policy: dict[str, Tensor]
    optimiser: dict[str, Any]
    best_policy: dict[str, Tensor]
    best_epoch: int


class TrainablePolicy(OrderPolicy, Protocol):
    """An order policy with weights: what torch modules offer and training needs."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """The weights to descend on."""

    def state_dict(self) -> dict[str, Tensor]:
        """The weights by name."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Replaces the weights."""


Draw: TypeAlias = Callable[[int], Scenarios]
"""Draws the scenarios of an epoch, by its number."""


class TrainingDivergedError(QuaestorError):
    """The loss or the gradient stopped being a number."""


def train(
    policy: TrainablePolicy,
    layout: Layout,
    train_scenarios: Scenarios | Draw,
    dev_scenarios: Scenarios,
    params: HDPOParams,
    warmup: int,
    resume: Checkpoint | None = None,
    on_epoch: Callable[[Checkpoint], None] | None = None,
) -> Checkpoint:
    """Trains the policy in place and leaves it with the weights of its best dev epoch.

    train_scenarios: the same for every epoch, or drawn anew for each. warmup: leading periods left out of the loss
    and of every reported cost. Goods in whole units are divisible in training and whole on dev.
    The gradient is taken through every period of the rollout (Alvo et al., arXiv 2306.11246, equation 4).
    `on_epoch` receives a checkpoint after every epoch; given back as `resume` it continues bit for bit.
    Raises TrainingDivergedError when the loss or gradient is not finite.
    """
    optimiser = torch.optim.Adam(policy.parameters(), lr=params.learning_rate)
    learner = policy
    if params.precision == "mixed" and layout.holding_cost.is_cuda and isinstance(policy, nn.Module):
        learner = MixedPrecision(policy)
    curve: tuple[Epoch, ...] = ()
    best_policy, best_epoch = deepcopy(policy.state_dict()), 0
    if resume is not None:
        policy.load_state_dict(resume.policy)
        optimiser.load_state_dict(deepcopy(resume.optimiser))  # or Adam would go on writing into the checkpoint
        curve, best_policy, best_epoch = resume.curve, resume.best_policy, resume.best_epoch
    for number in range(len(curve) + 1, params.epochs + 1):
        if number - 1 - best_epoch >= params.patience:
            break
        scenarios = train_scenarios(number) if callable(train_scenarios) else train_scenarios
        met = as_met(scenarios, params, number)
        train_cost = _one_epoch(learner, layout.relaxed(), met, optimiser, params, warmup, number)
        dev_cost = _dev_cost(layout, policy, dev_scenarios, params.execution, warmup)
        if not math.isfinite(dev_cost):
            raise TrainingDivergedError(f"The dev cost of epoch {number} is {dev_cost}. {_WHAT_TO_DO}")
        curve = (*curve, Epoch(number, train_cost, dev_cost))
        if best_epoch == 0 or dev_cost < curve[best_epoch - 1].dev_cost:
            best_policy, best_epoch = deepcopy(policy.state_dict()), number
        if on_epoch is not None:
            on_epoch(deepcopy(Checkpoint(curve, policy.state_dict(), optimiser.state_dict(), best_policy, best_epoch)))
    final = Checkpoint(curve, deepcopy(policy.state_dict()), optimiser.state_dict(), best_policy, best_epoch)
    policy.load_state_dict(best_policy)
    return final


def mean_cost(
    layout: Layout,
    policy: OrderPolicy,
    scenarios: Scenarios,
    warmup: int,
    execution: Execution = "auto",
) -> Tensor:
    """Cost per store and period of each scenario after the warm-up, (batch,), without gradients."""
    with torch.no_grad():
        cost = rollout(layout, policy, scenarios, execution=execution)
    return cost[:, warmup:].mean(dim=1) / layout.stores


def _dev_cost(layout: Layout, policy: OrderPolicy, scenarios: Scenarios, execution: Execution, warmup: int) -> float:
    own = own_part(torch.arange(scenarios.batch))
    if len(own) == scenarios.batch:
        return float(mean_cost(layout, policy, scenarios, warmup, execution).mean())
    cost = mean_cost(layout.rows(own), policy, scenarios.rows(own), warmup, execution)
    return float(summed(cost.sum()) / scenarios.batch)


_WHAT_TO_DO = "Training stopped; lower learning_rate or gradient_norm, or look for outliers in the demand."


def _one_epoch(
    policy: TrainablePolicy,
    layout: Layout,
    scenarios: Scenarios,
    optimiser: torch.optim.Adam,
    params: HDPOParams,
    warmup: int,
    number: int,
) -> float:
    """Mean cost per store and period after the warm-up, as the policy was when it met each segment."""
    weight = loss_weight(scenarios, params.scale_exponent)
    order = shuffled(scenarios.batch, params.seed, number)
    segments = segments_of(warmup, scenarios.periods, params.segment)
    steps = [(rows, segment) for rows in order.split(params.batch) for segment in segments]
    total = 0.0
    for index, (batch, (first, end)) in enumerate(steps):
        rows = own_part(batch)
        optimiser.param_groups[0]["lr"] = learning_rate(params, number - 1 + index / len(steps))
        if first == 0:
            state = scenarios.rows(rows).start
        part = scenarios.rows(rows).span(first, end, state)
        share = counted_share(layout, scenarios.periods, warmup, first, end)
        counts = weight[rows, None] * share * (len(segments) / len(batch))
        optimiser.zero_grad()
        loss, cost, state = weighed(layout.rows(rows), policy, part, counts, params.execution)
        loss.backward()
        sum_gradients(policy.parameters())
        norm = nn.utils.clip_grad_norm_(policy.parameters(), params.gradient_norm)
        loss = summed(loss)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            raise TrainingDivergedError(
                f"Epoch {number}, batch {index + 1}: the loss is {loss.item()} and its gradient norm "
                f"{norm.item()}. {_WHAT_TO_DO}"
            )
        optimiser.step()
        total += float(summed((cost * share).sum()))
    return total / scenarios.batch


def counted_share(layout: Layout, periods: int, warmup: int, first: int, end: int) -> Tensor:
    """What each period of a segment counts in the mean cost per store and period after the warm-up, (period,)."""
    counts = torch.arange(first, end, device=layout.holding_cost.device) >= warmup
    return counts.to(layout.holding_cost.dtype) / ((periods - warmup) * layout.stores)


def learning_rate(params: HDPOParams, epochs_done: float) -> float:
    """The step size after so many epochs: a cosine from its full size down to 0."""
    return params.learning_rate * (1 + math.cos(math.pi * epochs_done / params.epochs)) / 2


def segments_of(warmup: int, periods: int, length: int | None) -> list[tuple[int, int]]:
    """First period and past the last of each segment; the warm-up belongs to the first, and a rest to the last."""
    if length is None:
        return [(0, periods)]
    ends = [*range(warmup + length, periods - length + 1, length), periods]
    return list(pairwise([0, *ends]))


def shuffled(count: int, seed: int, epoch: int) -> Tensor:
    """Row numbers in the order in which an epoch meets them, (row,)."""
    seed = stream_seed(seed, "hdpo batches", epoch)
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def as_met(scenarios: Scenarios, params: HDPOParams, epoch: int) -> Scenarios:
    """The scenarios as an epoch plays them."""
    if not params.shuffles:
        return scenarios
    return scenarios.shuffled(params.shuffles, stream_seed(params.seed, "hdpo shuffles", epoch))


def loss_weight(scenarios: Scenarios, exponent: float) -> Tensor:
    """What each scenario's cost counts in the loss, (batch,), 1 on average."""
    weight = scenarios.demand.mean(dim=(1, 2)).clamp(min=1e-3) ** -exponent
    return weight / weight.mean()
