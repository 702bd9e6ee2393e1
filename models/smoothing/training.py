"""Training for smoothing: order policies that are good under the noise of their certificate, and under attack.

The certified cost of an episode is ∫ g(S), a Wang transform of its law over noise. For costs that are sums over many
periods that law is close to normal, for which the transform is mean + λ × standard deviation; both are
differentiable, and so is the certified cost itself. With λ = 0 this is HDPO with noise-augmented observations.
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from models.inventory.hdpo import TrainablePolicy, TrainingDivergedError
from models.inventory.layout import Layout
from models.inventory.rollout import rollout
from models.inventory.scenarios import Scenarios
from models.smoothing.noise import NoiseScales, standard_noise
from quaestor.randomness import stream_seed


@dataclass(frozen=True)
class SmoothedTrainingParams:
    """steps of Adam with a learning rate that falls to 0 on a cosine; traces a step, each played with `draws` draws
    of noise. budget: of the attack whose certified cost is descended, in the unit of the noise scale; 0 descends the
    mean cost under noise alone. check_every: steps between looks at the dev traces, whose best weights are kept."""

    budget: float = 0.0
    steps: int = 400
    traces: int = 32
    draws: int = 4
    learning_rate: float = 3e-3
    gradient_norm: float = 1.0
    check_every: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.traces, self.draws, self.check_every) < 1 or not 0 <= self.budget < math.inf:
            raise ValueError("steps, traces, draws and check_every must be 1 or more, budget 0 or more.")
        if not (self.learning_rate > 0 and self.gradient_norm > 0):
            raise ValueError("learning_rate and gradient_norm must be above 0.")
        if self.draws < 2 and self.budget > 0:
            raise ValueError("a certified cost needs 2 draws of noise a trace or more.")


@dataclass(frozen=True)
class SmoothedGame:
    """What a policy is played on: scales of one row, or of one for each scenario; noise_scale σ; periods of warm-up;
    `together` scenarios make one episode and share its budget (1: each is an episode)."""

    layout: Layout
    scales: NoiseScales
    noise_scale: float
    warmup: int
    together: int = 1

    def rows(self, index: Tensor) -> SmoothedGame:
        """The game of the scenarios with these row numbers."""
        return replace(self, layout=self.layout.rows(index), scales=self.scales.rows(index))


def train_smoothed(
    policy: TrainablePolicy,
    game: SmoothedGame,
    train: Scenarios,
    dev: Scenarios,
    params: SmoothedTrainingParams,
) -> tuple[float, ...]:
    """Trains in place by descending the certified cost; returns the dev curve, which begins before the first step.

    The best weights are kept, those it came with included. Noise is drawn anew at each step; the dev noise is the
    same throughout. Goods in whole units are divisible in training and whole on dev. Raises TrainingDivergedError
    when the loss is not finite.
    """
    optimiser = torch.optim.Adam(policy.parameters(), lr=params.learning_rate)
    dev_seed = stream_seed(params.seed, "dev noise")

    def on_dev() -> float:
        with torch.no_grad():
            return float(certified_cost(policy, game, dev, params.budget, params.draws, dev_seed))

    curve, best = [on_dev()], deepcopy(policy.state_dict())
    pick = torch.Generator().manual_seed(stream_seed(params.seed, "smoothed training"))
    for step in range(params.steps):
        optimiser.param_groups[0]["lr"] = params.learning_rate * (1 + math.cos(math.pi * step / params.steps)) / 2
        index = torch.randint(train.batch, (params.traces,), generator=pick)
        own = replace(game.rows(index), layout=game.layout.rows(index).relaxed())
        seed = stream_seed(params.seed, "noise", step)
        loss = certified_cost(policy, own, train.rows(index), params.budget, params.draws, seed)
        if not torch.isfinite(loss):
            raise TrainingDivergedError(f"Step {step + 1}: the certified cost is {loss.item()}; lower learning_rate.")
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(policy.parameters(), params.gradient_norm)
        optimiser.step()
        if (step + 1) % params.check_every == 0 or step + 1 == params.steps:
            curve.append(on_dev())
            if curve[-1] == min(curve):
                best = deepcopy(policy.state_dict())
    policy.load_state_dict(best)
    return tuple(curve)


def certified_cost(
    policy: TrainablePolicy, game: SmoothedGame, scenarios: Scenarios, budget: float, draws: int, seed: int
) -> Tensor:
    """Mean over episodes of mean + λ × standard deviation of cost per store and period over draws of noise, a scalar.

    λ is budget / σ. The cost of an episode of several scenarios is their mean, so that its variance is the mean of
    theirs divided by their number: noise is drawn for each by itself.
    """
    draws = draws if game.noise_scale > 0 else 1
    index = torch.arange(scenarios.batch).repeat_interleave(draws)
    rows, own = scenarios.rows(index), game.rows(index)
    noise = None
    if game.noise_scale > 0:
        noise = own.scales.times(standard_noise(own.layout, rows, rows.batch, seed), game.noise_scale)
    costs = rollout(own.layout, policy, rows, noise)[:, game.warmup :].mean(dim=1).view(-1, draws) / own.layout.stores
    loss = costs.mean()
    if budget > 0 and draws > 1:
        ratio = budget / game.noise_scale
        loss = loss + ratio * (costs.var(dim=1).mean() / game.together + 1e-12).sqrt()
    return loss


@dataclass(frozen=True)
class Costs:
    """Of a policy, per store and period: without noise, with it, and certified (of the normal law above, no bound)."""

    unsmoothed: float
    smoothed: float
    certified: float


def costs_of(
    policy: TrainablePolicy, game: SmoothedGame, scenarios: Scenarios, budget: float, draws: int, seed: int
) -> Costs:
    """What a policy costs on scenarios; the same seed is the same noise, so that policies are paired."""
    with torch.no_grad():
        bare = certified_cost(policy, replace(game, noise_scale=0.0), scenarios, 0.0, 1, seed)
        smoothed, certified = (certified_cost(policy, game, scenarios, size, draws, seed) for size in (0.0, budget))
    return Costs(float(bare), float(smoothed), float(certified))
