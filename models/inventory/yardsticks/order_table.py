"""Plays a table of orders, such as value iteration finds, in the same rollout as every other policy."""

from __future__ import annotations

import torch
from torch import Tensor

from models.inventory.layout import Layout
from models.inventory.observation import Observation
from models.inventory.yardsticks.value_iteration import LostSalesOptimum
from quaestor.errors import UsageError


class OrderTablePolicy:
    """Looks up the order of one store in its whole-unit state; stock beyond the table counts as its last row."""

    def __init__(self, optimum: LostSalesOptimum) -> None:
        self._orders = torch.from_numpy(optimum.orders).flatten()
        self._sizes = optimum.orders.shape

    @property
    def window(self) -> int:
        """How many past demands it looks at: none, the state is enough."""
        return 0

    def __call__(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units.

        Raises UsageError on a network that is not one store with one edge of the table's lead time.
        """
        lead_time = len(self._sizes)
        if (layout.places, layout.edges, layout.longest_lead_time) != (1, 1, lead_time):
            raise UsageError(
                f"This table is for one store with one supplier {lead_time} periods away; the network has "
                f"{layout.places} places, {layout.edges} edges and lead times up to {layout.longest_lead_time}."
            )
        slots = (observation.on_hand, observation.in_transit[:, 0, : lead_time - 1])
        state = torch.cat(slots, dim=1).round().long().clamp(min=0)
        index = torch.zeros_like(state[:, 0])
        for axis, size in enumerate(self._sizes):
            index = index * size + state[:, axis].clamp(max=size - 1)
        return self._orders.to(index.device)[index].to(observation.on_hand.dtype)[:, None]
