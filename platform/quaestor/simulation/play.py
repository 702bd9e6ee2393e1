"""Plays exported order policies through scenarios."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from quaestor.errors import UsageError
from quaestor.export.inventory_policy import TERMS, InventoryPolicy
from quaestor.simulation.network import Floats, PlainNetwork, Terms, on_own_terms, on_terms
from quaestor.simulation.period import Stock, by_node, step
from quaestor.simulation.scenarios import PlainScenarios

ORDERS_AT_ONCE = 10_000
"""Orders that a policy is asked for in one go, where several periods are known beforehand: few enough for the cache."""
_Inputs: TypeAlias = dict[str, Floats]


class Orders(Protocol):
    """Feasible orders (batch, edge), in units, from the stock before a period and the demand (batch, store, past)
    and calendar (feature,) known by then."""

    def __call__(self, period: int, stock: Stock, past_demand: Floats, calendar: Floats) -> Floats: ...


@dataclass(frozen=True)
class Played:
    """Every period of every scenario. on_hand, in_transit (batch, period, place): units at the start of the period;
    orders (batch, period, edge); demand and unmet (batch, period, store): what was not served from stock. holding
    (batch, period, place), underage (batch, period, store), purchase (batch, period, edge): cost."""

    on_hand: Floats
    in_transit: Floats
    orders: Floats
    demand: Floats
    unmet: Floats
    holding: Floats
    underage: Floats
    purchase: Floats


def play(network: PlainNetwork, orders: Orders, scenarios: PlainScenarios) -> Played:
    """Plays all scenarios at once."""
    stock = scenarios.opening.with_slots(network.longest_lead_time)
    kept: dict[str, list[Floats]] = {name: [] for name in Played.__dataclass_fields__}
    for period in range(scenarios.periods):
        now = scenarios.history + period
        placed = orders(period, stock, scenarios.demand[:, :, :now], scenarios.calendar[now])
        demand = scenarios.demand[:, :, now]
        following, costs = step(network, stock, placed, demand)
        shipped = by_node(network.source, placed, network.nodes)[:, : len(network.places)]
        available = (stock.on_hand - shipped)[:, network.warehouses :]
        kept["on_hand"].append(stock.on_hand)
        kept["in_transit"].append(stock.in_transit.sum(axis=2))
        kept["orders"].append(placed)
        kept["demand"].append(demand)
        kept["unmet"].append(np.maximum(demand - np.maximum(available, 0), 0))
        for cause in ("holding", "underage", "purchase"):
            kept[cause].append(getattr(costs, cause))
        stock = following
    return Played(**{name: np.stack(arrays, axis=1) for name, arrays in kept.items()})


def play_policy(
    network: PlainNetwork, policy: InventoryPolicy, scenarios: PlainScenarios, terms: Terms | None = None
) -> Played:
    """Plays an exported policy, without its smoothing noise, on the network's own terms or on others.

    A policy that was learnt for one network is not told of other costs and lead times: they happen to it. One that
    takes each series' own terms as inputs is told of them, of lead times up to the longest that it knows. Raises
    UsageError where the policy is not of this network or looks further back than demand is known.
    """
    changed = terms or Terms()
    scenarios, on = scenarios.times(changed.demand), _network(network, scenarios, changed)
    return play(on, orders_of(policy, on, scenarios), scenarios)


def orders_beside(
    network: PlainNetwork, policy: InventoryPolicy, other: InventoryPolicy, scenarios: PlainScenarios
) -> tuple[Floats, Floats]:
    """What two policies order of the same stock, each (batch, period, edge): the stock is what the other one brought
    about. Raises UsageError as `play_policy` does."""
    on = _network(network, scenarios, Terms())
    see, lead, seen = _seen_by(policy, on, scenarios), orders_of(other, on, scenarios), list[_Inputs]()

    def both(period: int, stock: Stock, past_demand: Floats, calendar: Floats) -> Floats:
        seen.append(see(stock, past_demand, calendar))
        return lead(period, stock, past_demand, calendar)

    played = play(on, both, scenarios)
    return _asked(policy, on, scenarios, seen), played.orders


def _asked(
    policy: InventoryPolicy, network: PlainNetwork, scenarios: PlainScenarios, seen: Sequence[_Inputs]
) -> Floats:
    """What a policy orders when it sees these inputs, one entry a period: (batch, period, edge). What it sees is known
    beforehand, so that several periods are asked about at once."""
    batch, silent = len(scenarios.products), policy.without_noise()
    at_once = max(1, ORDERS_AT_ONCE // (batch * len(network.source)))
    parts = []
    for first in range(0, len(seen), at_once):
        some = seen[first : first + at_once]
        inputs = {name: np.concatenate([each[name] for each in some]) for name in some[0]}
        periods = np.repeat(scenarios.first_period + first + np.arange(len(some)), batch).tolist()
        parts.append(silent.orders([*scenarios.products] * len(some), periods, inputs).reshape(len(some), batch, -1))
    return np.concatenate(parts).swapaxes(0, 1)


def orders_of(policy: InventoryPolicy, network: PlainNetwork, scenarios: PlainScenarios) -> Orders:
    """A policy as it orders in these scenarios; raises UsageError where it cannot be played in them."""
    see, silent = _seen_by(policy, network, scenarios), policy.without_noise()

    def orders(period: int, stock: Stock, past_demand: Floats, calendar: Floats) -> Floats:
        periods = [scenarios.first_period + period] * len(scenarios.products)
        return silent.orders(scenarios.products, periods, see(stock, past_demand, calendar))

    return orders


def _seen_by(
    policy: InventoryPolicy, network: PlainNetwork, scenarios: PlainScenarios
) -> Callable[[Stock, Floats, Floats], _Inputs]:
    """What a policy sees of stock, past demand and calendar; raises UsageError where it cannot be played there."""
    spec = policy.spec
    if spec.places != network.places or len(spec.edges) != len(network.source):
        raise UsageError("This policy was learnt for another network; it cannot be played on this one.")
    if scenarios.opening.on_hand.shape[1] != len(network.places) or scenarios.demand.shape[1] != len(network.stores):
        raise UsageError("The kept scenarios are of another network; evaluate the iteration again.")
    if spec.own_terms and scenarios.terms is None:
        raise UsageError("The kept scenarios lack the terms of each series that the policy reads; evaluate it again.")
    if spec.window > scenarios.history:
        raise UsageError(f"The policy looks {spec.window} periods back, but only {scenarios.history} are known.")
    if len(spec.calendar) != scenarios.calendar.shape[1]:
        raise UsageError("The kept scenarios lack the calendar that the policy reads; evaluate the iteration again.")
    batch = len(scenarios.products)
    silent = np.zeros((batch, len(network.places)))
    own = {name: np.asarray(getattr(network, name), np.float64) for name in TERMS} if spec.own_terms else {}
    if own:
        own["lead_time"] = np.minimum(own["lead_time"], spec.lead)

    def see(stock: Stock, past_demand: Floats, calendar: Floats) -> _Inputs:
        known = past_demand.shape[2]
        return own | {
            "on_hand": stock.on_hand,
            "in_transit": stock.seen_in(spec.lead),
            "past_demand": past_demand[:, :, known - spec.window :],
            "calendar": np.broadcast_to(calendar, (batch, len(calendar))),
            "scale": silent,
        }

    return see


def _network(network: PlainNetwork, scenarios: PlainScenarios, terms: Terms) -> PlainNetwork:
    own = network if scenarios.terms is None else on_own_terms(network, scenarios.terms)
    return on_terms(own, terms)
