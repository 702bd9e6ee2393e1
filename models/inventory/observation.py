"""What a policy sees at the start of a period, and the noise that smoothing adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from models.inventory.dynamics import State
from models.inventory.scenarios import Scenarios
from quaestor.errors import UsageError


@dataclass(frozen=True)
class Observation:
    """A policy's view of the network.

    on_hand (batch, place) and in_transit (batch, place, lead): units. past_demand (batch, store, window):
    units, oldest first. calendar (batch, feature): of the period about to start.
    """

    on_hand: Tensor
    in_transit: Tensor
    past_demand: Tensor
    calendar: Tensor


@dataclass(frozen=True)
class ObservationNoise:
    """Noise for a whole episode, in units, added to what is observed and to nothing else.

    Stock is read anew each period: on_hand (batch, period, place), in_transit (batch, period, place, lead).
    A demand record enters the history once and keeps its noise there: demand (batch, store, history + period).
    """

    on_hand: Tensor
    in_transit: Tensor
    demand: Tensor


def observe(
    scenarios: Scenarios, state: State, period: int, window: int, noise: ObservationNoise | None
) -> Observation:
    """The observation at the start of a period, with the last `window` demands and the noise, if any.

    Raises UsageError where fewer than `window` demands are known.
    """
    now = scenarios.history + period
    if window > now:
        raise UsageError(
            f"The policy looks at the last {window} demands, but only {now} are known at the start of period "
            f"{period}; give the scenarios a history of at least {window} periods."
        )
    past_demand = scenarios.demand[:, :, now - window : now]
    on_hand, in_transit = state.on_hand, state.in_transit
    if noise is not None:
        on_hand = on_hand + noise.on_hand[:, period]
        in_transit = in_transit + noise.in_transit[:, period]
        past_demand = past_demand + noise.demand[:, :, now - window : now]
    calendar = scenarios.calendar[now].expand(scenarios.batch, -1)
    return Observation(on_hand, in_transit, past_demand, calendar)


def opening_observations(scenarios: Scenarios, window: int, count: int) -> list[dict[str, Any]]:
    """What a policy sees in the first period of the first `count` scenarios, by input name, as nested lists."""
    first = observe(scenarios, scenarios.start, 0, window, None)
    return [
        {
            "on_hand": first.on_hand[row].tolist(),
            "in_transit": first.in_transit[row].tolist(),
            "past_demand": first.past_demand[row].tolist(),
            "calendar": first.calendar[row].tolist(),
        }
        for row in range(count)
    ]
