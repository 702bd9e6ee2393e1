"""Futures kept with an iteration, so that anyone can play its policy through them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from quaestor.errors import UsageError
from quaestor.simulation.network import Floats, OwnTerms
from quaestor.simulation.period import Stock

SCENARIOS = "scenarios"
"""The kind of evidence that holds them."""


@dataclass(frozen=True)
class PlainScenarios:
    """Demand of a few products on held-out periods, and the stock they open with.

    demand (product, store, history + period): units; the first `history` periods are known at the start, and the
    next `warmup` are played but not counted. calendar (history + period, feature). on_hand (product, place) and
    in_transit (product, place, lead): units. first_period: the number of the first period played. recorded: whether
    the demand was recorded, or drawn. terms: costs and lead times of each product's own, None where all have the
    network's.
    """

    products: tuple[str, ...]
    first_period: int
    history: int
    warmup: int
    recorded: bool
    demand: Floats
    calendar: Floats
    opening: Stock
    terms: OwnTerms | None = None

    def __post_init__(self) -> None:
        products, stores, periods = self.demand.shape
        own = [len(array) for array in vars(self.terms).values()] if self.terms else []
        rows = {len(self.products), len(self.opening.on_hand), len(self.opening.in_transit), *own}
        if rows != {products} or len(self.calendar) != periods or not 0 <= self.warmup < periods - self.history:
            raise ValueError(f"demand is {products} products × {stores} stores × {periods} periods, the rest is not")

    @property
    def periods(self) -> int:
        """How many periods are played."""
        return int(self.demand.shape[2]) - self.history

    def times(self, factor: float) -> PlainScenarios:
        """The same futures with demand and opening stock times a factor."""
        opening = Stock(self.opening.on_hand * factor, self.opening.in_transit * factor)
        return replace(self, demand=self.demand * factor, opening=opening)


def scenarios_json(scenarios: PlainScenarios) -> dict[str, Any]:
    """The scenarios as plain values."""
    arrays = {
        "demand": scenarios.demand,
        "calendar": scenarios.calendar,
        "on_hand": scenarios.opening.on_hand,
        "in_transit": scenarios.opening.in_transit,
    }
    own = {name: array.tolist() for name, array in vars(scenarios.terms).items()} if scenarios.terms else None
    return {
        "products": list(scenarios.products),
        "first_period": scenarios.first_period,
        "history": scenarios.history,
        "warmup": scenarios.warmup,
        "recorded": scenarios.recorded,
        **{name: array.tolist() for name, array in arrays.items()},
        **({"terms": own} if own else {}),
    }


def scenarios_from(content: Mapping[str, Any]) -> PlainScenarios:
    """Reads scenarios back; raises UsageError for what are none."""
    try:
        demand = np.array(content["demand"], dtype=np.float64)
        return PlainScenarios(
            products=tuple(content["products"]),
            first_period=int(content["first_period"]),
            history=int(content["history"]),
            warmup=int(content["warmup"]),
            recorded=bool(content["recorded"]),
            demand=demand,
            calendar=np.array(content["calendar"], dtype=np.float64).reshape(demand.shape[2], -1),
            opening=Stock(
                np.array(content["on_hand"], dtype=np.float64), np.array(content["in_transit"], dtype=np.float64)
            ),
            terms=_own_terms(content["terms"]) if "terms" in content else None,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UsageError(f"The kept scenarios cannot be read ({error}); evaluate the iteration again.") from None


def _own_terms(content: Mapping[str, Any]) -> OwnTerms:
    return OwnTerms(
        holding_cost=np.array(content["holding_cost"], dtype=np.float64),
        underage_cost=np.array(content["underage_cost"], dtype=np.float64),
        unit_cost=np.array(content["unit_cost"], dtype=np.float64),
        lead_time=np.array(content["lead_time"], dtype=np.int64),
    )
