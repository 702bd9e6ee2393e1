"""Plays given echelon base-stock levels, such as Clark and Scarf's, in the same rollout as every other policy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.inventory.layout import Layout
from models.inventory.observation import Observation
from models.inventory.policies.order_up_to import echelon_position
from quaestor.errors import UsageError


class EchelonLevelsPolicy:
    """Raises each place's echelon inventory position to its level; levels (place,) in units, in the places' order."""

    def __init__(self, levels: Sequence[float]) -> None:
        self._levels = torch.tensor(levels)

    @property
    def window(self) -> int:
        """How many past demands it looks at: none, the state is enough."""
        return 0

    def __call__(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units.

        Raises UsageError on a network with another number of places, or a place with several sources.
        """
        if not len(self._levels) == layout.places == layout.edges:
            raise UsageError(
                f"These are levels of {len(self._levels)} places with one source each; the network has "
                f"{layout.places} places and {layout.edges} edges."
            )
        levels = self._levels.to(observation.on_hand)
        return (levels - echelon_position(layout, observation)).clamp(min=0).index_select(1, layout.target)
