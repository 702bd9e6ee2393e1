"""Attacks by many gradients on the part of a large study where they are worth most.

An attack may leave scenarios in peace and is as valid an attack; what it costs then no longer grows with the study.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.inventory.layout import Layout
from models.inventory.observation import ObservationNoise
from models.inventory.rollout import OrderPolicy
from models.inventory.scenarios import Scenarios
from models.smoothing.inventory import Attack
from models.smoothing.inventory_attacks import Fixed, parts_of, steepest
from models.smoothing.noise import NoiseScales, silence, squares


@dataclass(frozen=True)
class Aimed:
    """An attack on some scenarios of each episode, rows (scenario,) of its `together`; the others are left in peace."""

    attack: Attack
    rows: Tensor
    together: int

    def __call__(
        self, layout: Layout, scenarios: Scenarios, scales: NoiseScales, noise: ObservationNoise
    ) -> ObservationNoise:
        """The shift in units, (row, …); 0 where it does not aim."""
        episodes = torch.arange(scenarios.batch // self.together)
        index = (episodes[:, None] * self.together + self.rows).flatten()
        seen = ObservationNoise(*(part[index] for part in parts_of(noise)))
        found = self.attack(layout.rows(index), scenarios.rows(index), scales.rows(index), seen)
        shift = silence(layout, scenarios, scenarios.batch)
        for part, aimed in zip(parts_of(shift), parts_of(found), strict=True):
            part[index] = aimed
        return shift


@dataclass(frozen=True)
class Target:
    """The scenarios of an episode that are aimed at, rows (scenario,) of its `together`; wide: the attack by one
    gradient over all of them from which they were found, None where they are all."""

    rows: Tensor
    together: int
    wide: Fixed | None

    def aim(self, attack: Attack) -> Aimed:
        """An attack on these scenarios alone."""
        return Aimed(attack, self.rows, self.together)


@dataclass(frozen=True)
class Adversary:
    """What attacks by gradient need: the network, the policy they descend through, an episode and how it is read,
    and the budget, in scales, that all its scenarios share."""

    layout: Layout
    policy: OrderPolicy
    scenarios: Scenarios
    scales: NoiseScales
    noise_scale: float
    budget: float
    warmup: int

    def target(self, most: int, seed: int) -> Target:
        """At most this many scenarios: those whose readings one gradient finds to matter most."""
        everything = torch.arange(self.scenarios.batch)
        if len(everything) <= most:
            return Target(everything, len(everything), None)
        wide = self._uphill(everything, 1, 1, seed)
        rows = squares(wide.shift).topk(most).indices.sort().values
        return Target(rows, len(everything), wide)

    def uphill(self, target: Target, seed: int) -> Fixed:
        """The attack by gradient on a target, in several steps."""
        return self._uphill(target.rows, 3, 2, seed)

    def _uphill(self, rows: Tensor, steps: int, draws: int, seed: int) -> Fixed:
        return steepest(
            self.layout.rows(rows), self.policy, self.scenarios.rows(rows), self.scales.rows(rows), self.noise_scale,
            self.budget, True, self.warmup, seed, steps, draws,
        )  # fmt: skip
