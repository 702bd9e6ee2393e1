"""Training for smoothing: order policies that are good under the noise of their certificate, and under attack.

The certified cost of a trace is ∫ g(S), a Wang transform of its law over noise. For costs that are sums over many
periods that law is close to normal, for which the transform is mean + λ × standard deviation; both are
differentiable, and so is the certified cost itself. With λ = 0 this is HDPO with noise-augmented observations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.inventory.hdpo import TrainablePolicy
from models.inventory.layout import Layout
from models.inventory.rollout import rollout
from models.inventory.scenarios import Scenarios
from models.smoothing.noise import NoiseScales, standard_noise
from quaestor.randomness import stream_seed


@dataclass(frozen=True)
class SmoothedTrainingParams:
    """steps of Adam with a learning rate that falls to 0 on a cosine; traces a step, each played with `draws` draws
    of noise. noise_scale σ and ratio λ = budget / σ are those of the certificate to be. check_every: steps between
    looks at the dev traces, whose best weights are kept."""

    noise_scale: float
    ratio: float = 0.0
    steps: int = 400
    traces: int = 32
    draws: int = 4
    learning_rate: float = 3e-3
    gradient_norm: float = 1.0
    check_every: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.traces, self.check_every) < 1 or self.noise_scale < 0 or self.ratio < 0:
            raise ValueError("steps, traces and check_every must be 1 or more, noise_scale and ratio 0 or more.")
        if self.draws < 2 and self.ratio > 0:
            raise ValueError("a certified cost needs 2 draws of noise a trace or more.")


def train_smoothed(
    policy: TrainablePolicy,
    layout: Layout,
    train: Scenarios,
    dev: Scenarios,
    scales: Callable[[Scenarios], NoiseScales],
    warmup: int,
    params: SmoothedTrainingParams,
) -> tuple[float, ...]:
    """Trains in place by descending the certified cost and keeps the best weights; returns the dev curve.

    Noise is drawn anew at each step. The dev noise is the same throughout.
    """
    optimiser = torch.optim.Adam(policy.parameters(), lr=params.learning_rate)
    curve: list[float] = []
    best = deepcopy(policy.state_dict())
    pick = torch.Generator().manual_seed(stream_seed(params.seed, "smoothed training"))
    for step in range(params.steps):
        optimiser.param_groups[0]["lr"] = params.learning_rate * (1 + math.cos(math.pi * step / params.steps)) / 2
        rows = train.rows(torch.randint(train.batch, (params.traces,), generator=pick))
        loss = certified_cost(policy, layout, rows, scales, warmup, params, stream_seed(params.seed, "noise", step))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(policy.parameters(), params.gradient_norm)
        optimiser.step()
        if (step + 1) % params.check_every == 0 or step + 1 == params.steps:
            with torch.no_grad():
                seed = stream_seed(params.seed, "dev noise")
                curve.append(float(certified_cost(policy, layout, dev, scales, warmup, params, seed)))
            if curve[-1] == min(curve):
                best = deepcopy(policy.state_dict())
    policy.load_state_dict(best)
    return tuple(curve)


def certified_cost(
    policy: TrainablePolicy,
    layout: Layout,
    scenarios: Scenarios,
    scales: Callable[[Scenarios], NoiseScales],
    warmup: int,
    params: SmoothedTrainingParams,
    seed: int,
) -> Tensor:
    """Mean over traces of mean + λ × standard deviation of cost per store and period over draws of noise, a scalar."""
    draws = params.draws if params.noise_scale > 0 else 1
    rows = scenarios.rows(torch.arange(scenarios.batch).repeat_interleave(draws))
    noise = None
    if params.noise_scale > 0:
        noise = scales(rows).times(standard_noise(layout, rows, rows.batch, seed), params.noise_scale)
    costs = rollout(layout, policy, rows, noise)[:, warmup:].mean(dim=1).view(-1, draws) / layout.stores
    loss = costs.mean()
    if params.ratio > 0 and draws > 1:
        loss = loss + params.ratio * (costs.var(dim=1).mean() + 1e-12).sqrt()
    return loss
