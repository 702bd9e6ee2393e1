"""Training shared by the processes of torch.distributed: each plays its part of a batch, and gradients are summed.

Without a process group there is one process, and nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as processes
from torch import Tensor, nn


def own_part(rows: Tensor) -> Tensor:
    """The rows that this process plays; together the processes play them all."""
    if not _shared():
        return rows
    return rows[processes.get_rank() :: processes.get_world_size()]


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Gives every process the sum of all processes' gradients; what one did not reach counts as 0 there."""
    if not _shared():
        return
    weights = [weight for weight in parameters if weight.requires_grad]
    parts = [weight.grad if weight.grad is not None else torch.zeros_like(weight) for weight in weights]
    together = torch.cat([part.flatten() for part in parts])
    processes.all_reduce(together)
    for weight, part in zip(weights, together.split([weight.numel() for weight in weights]), strict=True):
        weight.grad = part.view_as(weight)


def summed(value: Tensor) -> Tensor:
    """The sum of a tensor over all processes, without a gradient."""
    value = value.detach()
    if _shared():
        value = value.clone()
        processes.all_reduce(value)
    return value


def _shared() -> bool:
    return processes.is_available() and processes.is_initialized() and processes.get_world_size() > 1
