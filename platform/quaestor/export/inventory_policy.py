"""An inventory policy as production calls it: observations in, feasible orders out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from quaestor.errors import QuaestorError, UsageError
from quaestor.export.encoding import LARGEST
from quaestor.export.session import Session
from quaestor.export.spec import InventorySpec
from quaestor.randomness import event_keys, normals

INPUTS = ("on_hand", "in_transit", "past_demand", "calendar")
TERMS = ("holding_cost", "underage_cost", "unit_cost", "lead_time")
"""What each row has of its own where a policy was learnt over scenarios on terms of their own."""
NOISES = ("noise_on_hand", "noise_in_transit", "noise_past_demand")


class InventoryPolicy:
    """A policy graph with its spec."""

    def __init__(self, graph: bytes, spec: InventorySpec, where: str = "policy.onnx") -> None:
        self.spec = spec
        self._session = Session(graph, where)

    def without_noise(self) -> InventoryPolicy:
        """The same policy as it orders when nothing is added to what it sees."""
        silent = copy.copy(self)
        silent.spec = replace(self.spec, noise_scale=0.0)
        return silent

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of one row of each input, without its row axis."""
        spec = self.spec
        places, stores, edges = len(spec.places), len(spec.stores), len(spec.edges)
        seen = {
            "on_hand": (places,),
            "in_transit": (places, spec.lead),
            "past_demand": (stores, spec.window),
            "calendar": (len(spec.calendar),),
            "scale": (places,),
        }
        own = {"holding_cost": (places,), "underage_cost": (stores,), "unit_cost": (edges,), "lead_time": (edges,)}
        return seen | own if spec.own_terms else seen

    def orders(
        self, products: Sequence[str], periods: Sequence[int], inputs: dict[str, NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """Feasible orders (row, edge), in units, of products in periods.

        inputs holds on_hand, in_transit, past_demand, calendar and scale (row, place), the mean demand through
        each place that the noise is measured in; and the costs and lead times of each row where the spec says that
        they are its own. Raises UsageError for a missing, misshapen, non-finite or too
        large input, and QuaestorError where the graph gives no orders for it.
        """
        rows = len(products)
        for name, shape in self.shapes().items():
            found = inputs.get(name)
            if found is None:
                raise UsageError(f"An inventory decision needs {name!r}, {shape} numbers a row.")
            if found.shape != (rows, *shape):
                raise UsageError(f"{name!r} must be {shape} numbers a row, found {found.shape[1:]}.")
            if not (np.abs(found) <= LARGEST).all():  # also refuses NaN
                raise UsageError(f"{name!r} holds a value that is not a finite number, or above {LARGEST:.3g}.")
        seen = (*INPUTS, *TERMS) if self.spec.own_terms else INPUTS
        if self.spec.own_terms:
            _check_lead_times(inputs["lead_time"], self.spec.lead)
        arrays = {name: inputs[name] for name in seen} | self._in_units(self.noise(products, periods), inputs["scale"])
        result = self._session.run("orders", {name: array.astype(np.float32) for name, array in arrays.items()})
        if not np.isfinite(result).all():
            raise QuaestorError("The policy gives no orders for such numbers; are all of them in units?")
        return result.astype(np.float64)

    def noise(self, products: Sequence[str], periods: Sequence[int]) -> dict[str, NDArray[np.float64]]:
        """The standard normal noise of each row, in the shapes of what it is added to; zeros where the policy adds
        none. Noise on stock is drawn for each product and period, noise on demand for each record, once for good."""
        rows, places, lead = len(products), len(self.spec.places), self.spec.lead
        stores, window = len(self.spec.stores), self.spec.window
        if self.spec.noise_scale == 0:
            shapes = ((rows, places), (rows, places, lead), (rows, stores, window))
            return {name: np.zeros(shape) for name, shape in zip(NOISES, shapes, strict=True)}
        moments = list(zip(products, periods, strict=True))
        stock = self._normals([f"stock:{product}:{period}" for product, period in moments], places * (1 + lead))
        records = [
            f"demand:{product}:{period - window + slot}" for product, period in moments for slot in range(window)
        ]
        demand = self._normals(records, stores).reshape(rows, window, stores).swapaxes(1, 2)
        on_hand, in_transit = stock[:, :places], stock[:, places:].reshape(rows, places, lead)
        return dict(zip(NOISES, (on_hand, in_transit, demand), strict=True))

    def _in_units(
        self, noise: dict[str, NDArray[np.float64]], scale: NDArray[np.float64]
    ) -> dict[str, NDArray[np.float64]]:
        on_hand, in_transit, demand = (noise[name] * self.spec.noise_scale for name in NOISES)
        stores = scale[:, len(self.spec.places) - len(self.spec.stores) :, None]
        return dict(zip(NOISES, (on_hand * scale, in_transit * scale[:, :, None], demand * stores), strict=True))

    def _normals(self, names: Sequence[str], count: int) -> NDArray[np.float64]:
        return normals(event_keys(self.spec.salt, self.spec.system, names), count)


def _check_lead_times(found: NDArray[np.float64], longest: int) -> None:
    if ((found < 1) | (found > longest) | (found != np.round(found))).any():
        raise UsageError(f"'lead_time' must hold whole periods from 1 to {longest}, the longest that was learnt from.")
