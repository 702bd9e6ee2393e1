"""What an operation of torch reads: columns of scenarios, or values that depend on no scenario."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import fx

from models.inventory.native.lowering import Lowering, UnsupportedError
from models.inventory.native.program import Ids

Operation = Callable[..., Any]
"""Given the walk and an operation's own arguments: the columns of its result."""


class Walk:
    """The values of the nodes that were taken so far: column numbers where they depend on a scenario."""

    def __init__(self, lowering: Lowering, known: dict[fx.Node, Any]) -> None:
        self.lowering = lowering
        self.known = known

    def ids(self, value: Any) -> Ids:
        """The columns of an argument."""
        return self.lowering.ids(value, self.known)

    def plain(self, value: Any) -> Any:
        """An argument that must not depend on a scenario, such as an index."""
        if isinstance(value, fx.Node):
            value = self.known[value]
        if isinstance(value, np.ndarray):
            raise UnsupportedError("index that depends on a scenario")
        return value


def constant(node: fx.Node, known: dict[fx.Node, Any]) -> Any:
    """The value of a call that depends on no scenario, computed by torch."""
    if not callable(node.target):
        raise UnsupportedError(f"target {node.target}")
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda argument: known[argument])
    return node.target(*args, **kwargs)
