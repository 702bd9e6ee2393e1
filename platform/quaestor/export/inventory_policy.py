"""An inventory policy as production calls it: observations in, feasible orders out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quaestor.errors import UsageError
from quaestor.export.session import Session
from quaestor.export.spec import InventorySpec
from quaestor.randomness import event_keys, normals

INPUTS = ("on_hand", "in_transit", "past_demand", "calendar")
NOISES = ("noise_on_hand", "noise_in_transit", "noise_past_demand")


class InventoryPolicy:
    """A policy graph with its spec."""

    def __init__(self, graph: bytes, spec: InventorySpec, where: str = "policy.onnx") -> None:
        self.spec = spec
        self._session = Session(graph, where)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of one row of each input, without its row axis."""
        spec = self.spec
        return {
            "on_hand": (len(spec.places),),
            "in_transit": (len(spec.places), spec.lead),
            "past_demand": (len(spec.stores), spec.window),
            "calendar": (len(spec.calendar),),
            "scale": (len(spec.places),),
        }

    def orders(
        self, products: Sequence[str], periods: Sequence[int], inputs: dict[str, NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """Feasible orders (row, edge), in units, of products in periods.

        inputs holds on_hand, in_transit, past_demand, calendar and scale (row, place), the mean demand through
        each place that the noise is measured in. Raises UsageError for a missing, misshapen or non-finite input.
        """
        rows = len(products)
        for name, shape in self.shapes().items():
            found = inputs.get(name)
            if found is None:
                raise UsageError(f"An inventory decision needs {name!r}, {shape} numbers a row.")
            if found.shape != (rows, *shape):
                raise UsageError(f"{name!r} must be {shape} numbers a row, found {found.shape[1:]}.")
            if not np.isfinite(found).all():
                raise UsageError(f"{name!r} holds a value that is not a finite number.")
        noise = self._noise(products, periods, inputs["scale"])
        arrays = {name: inputs[name] for name in INPUTS} | noise
        result = self._session.run("orders", {name: array.astype(np.float32) for name, array in arrays.items()})
        return result.astype(np.float64)

    def _noise(
        self, products: Sequence[str], periods: Sequence[int], scale: NDArray[np.float64]
    ) -> dict[str, NDArray[np.float64]]:
        """Noise on stock is drawn for each product and period, noise on demand for each record, once for good."""
        rows, places, lead = len(products), len(self.spec.places), self.spec.lead
        stores, window = len(self.spec.stores), self.spec.window
        moments = list(zip(products, periods, strict=True))
        stock = self._normals([f"stock:{product}:{period}" for product, period in moments], places * (1 + lead))
        records = [
            f"demand:{product}:{period - window + slot}" for product, period in moments for slot in range(window)
        ]
        demand = self._normals(records, stores).reshape(rows, window, stores).swapaxes(1, 2)
        on_hand, in_transit = stock[:, :places], stock[:, places:].reshape(rows, places, lead)
        return {
            "noise_on_hand": on_hand * scale,
            "noise_in_transit": in_transit * scale[:, :, None],
            "noise_past_demand": demand * scale[:, places - stores :, None],
        }

    def _normals(self, names: Sequence[str], count: int) -> NDArray[np.float64]:
        keys = event_keys(self.spec.salt, self.spec.system, names)
        return normals(keys, count) * self.spec.noise_scale
