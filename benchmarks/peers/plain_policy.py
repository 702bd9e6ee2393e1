"""The same plain perceptron for every way of training it: what is compared is the gradient, not the architecture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.inventory.demand_law import DemandLaw
from models.inventory.hdpo import mean_cost
from models.inventory.instances import Instance, one_store_lost, one_warehouse_lost
from models.inventory.layout import Layout, layout_of
from models.inventory.observation import Observation
from models.inventory.scenarios import Scenarios, drawn_scenarios

WIDTH = 32
HIDDEN = 2
PERIODS = 50
"""Periods of a training episode."""

FIRST_ORDER, FIRST_SPREAD = 1.0, 0.3
"""Orders at first, and their standard deviation where a method explores, in demand scales; both are learned."""

LOOKS = 6
"""How often a policy is judged while it learns."""

PROBLEMS: dict[str, Callable[[], Instance]] = {
    "one_store_lost": lambda: one_store_lost(2, 9.0),
    "one_warehouse": lambda: one_warehouse_lost(3, seed=1),
}


@dataclass(frozen=True)
class Task:
    """A problem as all methods get it: goods divisible in training, whole where they are at the test."""

    layout: Layout
    law: DemandLaw
    test: Scenarios

    @property
    def scale(self) -> float:
        """Mean demand of a store, in units."""
        return float(np.mean(self.law.mean))

    @property
    def inputs(self) -> int:
        """Numbers in the flattened state."""
        return self.layout.places * (1 + self.layout.longest_lead_time)

    def cost(self, policy: Plain) -> float:
        """Mean cost per store and period on the test scenarios."""
        return float(mean_cost(self.layout, policy, self.test, PERIODS).mean())


def task(problem: str) -> Task:
    """A problem by name, with its test scenarios."""
    instance = PROBLEMS[problem]()
    layout = layout_of(instance.network)
    return Task(layout, instance.demand, drawn_scenarios(layout, instance.demand, 512, 200, 0, seed=99))


def flat(on_hand: Tensor, in_transit: Tensor, scale: float) -> Tensor:
    """The state as one vector a scenario, in demand scales, (batch, input)."""
    return torch.cat((on_hand, in_transit.flatten(1)), dim=1) / scale


class Plain(nn.Module):
    """An order policy from a network that reads the flattened state and answers in demand scales."""

    def __init__(self, mean_orders: nn.Module, scale: float) -> None:
        super().__init__()
        self.mean_orders = mean_orders
        self.scale = scale

    @property
    def window(self) -> int:
        """How many past demands it looks at: none."""
        return 0

    def forward(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units."""
        state = flat(observation.on_hand, observation.in_transit, self.scale)
        orders: Tensor = self.mean_orders(state).clamp(min=0) * self.scale
        return orders


def perceptron(inputs: int, outputs: int, seed: int) -> nn.Sequential:
    """Tanh layers as in the library's default; it starts from ordering about one period's mean demand."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for _ in range(HIDDEN):
            layers += [nn.Linear(inputs, WIDTH), nn.Tanh()]
            inputs = WIDTH
        last = nn.Linear(inputs, outputs)
        nn.init.constant_(last.bias, FIRST_ORDER)
        return nn.Sequential(*layers, last)
