"""What chance brings to a network, drawn or recorded beforehand: demand, calendar and the opening stock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.inventory.demand_law import DemandLaw
from models.inventory.dynamics import State
from models.inventory.layout import Layout
from quaestor.errors import UsageError
from quaestor.randomness import generator


@dataclass(frozen=True)
class Scenarios:
    """A batch of futures.

    demand (batch, store, history + period): units, 0 or more; the first `history` periods are already known
    at the start. calendar (history + period, feature): known in advance, such as days from Christmas.
    on_hand (batch, place) and in_transit (batch, place, lead): units at the start.
    """

    demand: Tensor
    calendar: Tensor
    on_hand: Tensor
    in_transit: Tensor
    history: int

    @property
    def periods(self) -> int:
        """How many periods are played."""
        return self.demand.shape[2] - self.history

    @property
    def batch(self) -> int:
        """How many scenarios there are."""
        return len(self.demand)

    @property
    def start(self) -> State:
        """The state at the start of the first period."""
        return State(self.on_hand, self.in_transit)

    def rows(self, index: Tensor) -> Scenarios:
        """The scenarios with these row numbers, in this order, repeats allowed."""
        return Scenarios(self.demand[index], self.calendar, self.on_hand[index], self.in_transit[index], self.history)

    def span(self, first: int, end: int, start: State) -> Scenarios:
        """Periods `first` to `end` (past the last), played from a given state; demand before them is known."""
        return Scenarios(
            self.demand[:, :, first : self.history + end],
            self.calendar[first : self.history + end],
            start.on_hand,
            start.in_transit,
            self.history,
        )

    def shuffled(self, times: int, seed: int) -> Scenarios:
        """Every scenario's periods, the known ones too, `times` over and each time in another order, stores together.

        What happens in a period is as likely as before where demand is independent between periods. Raises UsageError
        where there is a calendar, which would no longer fit the demand.
        """
        if self.calendar.shape[1]:
            raise UsageError(
                f"Periods of demand are shuffled, but {self.calendar.shape[1]} calendar features say when each of them "
                "was; set hdpo.shuffles to 0."
            )
        batch, stores, periods = self.demand.shape
        chance = generator(seed, "shuffled periods")
        order = chance.random((batch, times, periods), dtype=np.float32).argsort(axis=2).reshape(batch, 1, -1)
        index = torch.from_numpy(order).to(self.demand.device).expand(-1, stores, -1)
        calendar = self.calendar.new_zeros(times * periods, 0)
        return Scenarios(self.demand.gather(2, index), calendar, self.on_hand, self.in_transit, self.history)

    def to(self, device: torch.device | str) -> Scenarios:
        """The same scenarios on a device."""
        return Scenarios(
            self.demand.to(device),
            self.calendar.to(device),
            self.on_hand.to(device),
            self.in_transit.to(device),
            self.history,
        )


def scenarios_from_demand(
    layout: Layout, demand: NDArray[np.float64], calendar: NDArray[np.float64], history: int, seed: int
) -> Scenarios:
    """Scenarios over recorded or drawn demand (batch, store, history + period), with the opening stock drawn.

    Opening store pipelines are mean demand × U(0, 1) in each slot, warehouses start empty (inventory
    reference instances of Alvo et al.). Raises ValueError where demand is negative or not finite.
    """
    if not np.isfinite(demand).all() or (layout.unmet_is_lost and (demand < 0).any()):
        raise ValueError(
            "demand must be finite and, where unmet demand is lost, 0 or more in every period; returns are not demand."
        )
    batch, stores, _ = demand.shape
    known = demand[:, :, :history] if history else demand
    mean = known.mean(axis=2)
    draw = generator(seed, "opening stock").random((batch, stores, layout.longest_lead_time))
    longest = layout.longest_incoming_lead_time[:, layout.warehouses :].numpy()
    opening = mean[:, :, None] * draw * (np.arange(layout.longest_lead_time) < longest[:, :, None])
    if layout.whole_units:
        opening = opening.round()
    dtype = layout.holding_cost.dtype
    on_hand = np.zeros((batch, layout.places))
    in_transit = np.zeros((batch, layout.places, layout.longest_lead_time))
    on_hand[:, layout.warehouses :] = opening[:, :, 0]
    in_transit[:, layout.warehouses :, :-1] = opening[:, :, 1:]
    return Scenarios(
        demand=torch.as_tensor(demand, dtype=dtype),
        calendar=torch.as_tensor(calendar, dtype=dtype),
        on_hand=torch.as_tensor(on_hand, dtype=dtype),
        in_transit=torch.as_tensor(in_transit, dtype=dtype),
        history=history,
    )


def drawn_scenarios(layout: Layout, law: DemandLaw, batch: int, periods: int, history: int, seed: int) -> Scenarios:
    """Scenarios over drawn demand, without a calendar."""
    demand = law.draw(batch, history + periods, seed)
    return scenarios_from_demand(layout, demand, np.zeros((history + periods, 0)), history, seed)
