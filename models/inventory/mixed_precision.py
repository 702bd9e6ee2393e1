"""Products of a policy in bfloat16: what a GPU's matrix units are fast at; all else stays in the precision it has."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from models.inventory.layout import Layout
from models.inventory.observation import Observation


class MixedPrecision(nn.Module):
    """A policy whose linear layers multiply in bfloat16, from weights that are kept, and learned, in full precision.

    The network's own arithmetic is not touched: echelon positions, rationing, costs and pipelines would lose units.
    """

    def __init__(self, policy: nn.Module) -> None:
        super().__init__()
        self.policy = policy

    @property
    def window(self) -> int:
        """How many past demands it looks at, in periods."""
        window: Any = self.policy.window
        return int(window)

    def forward(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units."""
        with _ShorterProducts():
            orders: Tensor = self.policy(layout, observation)
        return orders


class _ShorterProducts(TorchFunctionMode):
    """Linear layers in bfloat16. Autocast would take every product, those of stock and network structure, too."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not nn.functional.linear:
            return func(*args, **(kwargs or {}))
        wide = [*args, *(kwargs or {}).values()]
        short: list[Any] = [tensor if tensor is None else tensor.to(torch.bfloat16) for tensor in wide]
        return func(*short).to(wide[0].dtype)
