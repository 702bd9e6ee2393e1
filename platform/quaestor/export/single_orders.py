"""Orders of one product given as a mapping, without a frame, and what must be logged of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaestor.clock import utc_now
from quaestor.errors import UsageError
from quaestor.export.inventory_policy import InventoryPolicy
from quaestor.export.single import Record

Noise = dict[str, NDArray[np.float64]]
"""The chance behind orders: standard normal, in noise scales, in the shapes of the readings it was added to."""


class SingleOrders:
    """An order policy, made ready to decide mappings."""

    def __init__(self, policy: InventoryPolicy, iteration_id: str) -> None:
        self._policy, self._iteration_id = policy, iteration_id
        self._shapes = policy.shapes()
        self._sources = [edge[0] for edge in policy.spec.edges]
        self._targets = [edge[1] for edge in policy.spec.edges]

    def decide(self, row: Mapping[str, Any]) -> tuple[Record, Noise]:
        """The record of the orders of one product in one period, with what was seen, and its chance.

        The row has product, period and the policy's inputs as nested lists. Raises UsageError for anything else.
        """
        product, period = row.get("product"), row.get("period")
        if type(product) is not str or not product or type(period) is not int:
            raise UsageError("A row needs a product (text) and a period (a whole number).")
        seen: dict[str, NDArray[np.float64]] = {}
        for name, shape in self._shapes.items():
            try:
                array = np.array(row.get(name), dtype=np.float64)
            except (TypeError, ValueError, OverflowError):
                array = np.array(np.nan)
            if array.shape != shape and array.size + np.prod(shape) > 0:
                raise UsageError(f"{name!r} must hold {' × '.join(map(str, shape))} numbers.")
            seen[name] = array.reshape(shape)
        units = self._policy.orders([product], [period], {name: array[None] for name, array in seen.items()})[0]
        noise = self._policy.noise([product], [period])
        record: Record = {
            "system": self._policy.spec.system,
            "product": product,
            "period": period,
            "decided_at": utc_now().replace(tzinfo=UTC),
            "iteration_id": self._iteration_id,
            "sources": self._sources,
            "targets": self._targets,
            "units": units.tolist(),
        }
        record |= {name: array.tolist() for name, array in seen.items()}
        return record, {name: array[0] for name, array in noise.items()}
