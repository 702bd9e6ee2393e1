"""A supply network as arrays, and the same network on other terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaestor.errors import UsageError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class PlainNetwork:
    """Who supplies whom and on what terms; places are warehouses and cross-docks, then stores, then suppliers follow.

    holding_cost (place,) and underage_cost (store,): per unit and period. unit_cost (edge,): per unit. lead_time
    (edge,): periods; these four have a leading axis of rows where each scenario has terms of its own. order_cost
    (edge,): of each order, however large. source, target (edge,): node numbers; a supplier's is the number of places or
    more.
    """

    places: tuple[str, ...]
    stores: tuple[str, ...]
    suppliers: tuple[str, ...]
    unmet_is_lost: bool
    holding_cost: Floats
    underage_cost: Floats
    unit_cost: Floats
    order_cost: Floats
    lead_time: Integers
    source: Integers
    target: Integers

    @property
    def warehouses(self) -> int:
        """How many places see no demand."""
        return len(self.places) - len(self.stores)

    @property
    def nodes(self) -> int:
        """How many places and suppliers there are."""
        return len(self.places) + len(self.suppliers)

    @property
    def longest_lead_time(self) -> int:
        """The longest lead time of any edge, in periods."""
        return int(self.lead_time.max())


@dataclass(frozen=True)
class OwnTerms:
    """What each scenario has of its own: holding_cost (row, place), underage_cost (row, store), unit_cost and
    lead_time (row, edge), as the network has them for all."""

    holding_cost: Floats
    underage_cost: Floats
    unit_cost: Floats
    lead_time: Integers


@dataclass(frozen=True)
class Terms:
    """Other terms for a network: what its costs and its demand are multiplied by, and how many periods longer (or
    shorter, below 0) every lead time is."""

    holding: float = 1.0
    underage: float = 1.0
    purchase: float = 1.0
    demand: float = 1.0
    longer: int = 0

    def __post_init__(self) -> None:
        if min(self.holding, self.purchase, self.demand) < 0 or self.underage <= 0:
            raise ValueError("costs and demand are multiplied by 0 or more, underage by more than 0.")


def plain_network(content: Mapping[str, Any]) -> PlainNetwork:
    """The arrays of a network as the store keeps it; raises UsageError for what is no network."""
    try:
        by_kind = {kind: [node for node in content["nodes"] if node["kind"] == kind] for kind in _KINDS}
        unknown = len(content["nodes"]) - sum(len(members) for members in by_kind.values())
        between = [node for node in content["nodes"] if node["kind"] in ("warehouse", "cross_dock")]
        places = [*between, *by_kind["store"]]
        names = [node["name"] for node in (*places, *by_kind["supplier"])]
        number = {name: index for index, name in enumerate(names)}
        edges = content["edges"]
        if unknown or not edges or content["unmet_demand"] not in ("lost", "backlogged"):
            raise ValueError("a node, the edges or what happens to unmet demand")
        return PlainNetwork(
            places=tuple(names[: len(places)]),
            stores=tuple(node["name"] for node in by_kind["store"]),
            suppliers=tuple(names[len(places) :]),
            unmet_is_lost=content["unmet_demand"] == "lost",
            holding_cost=np.array([node.get("holding_cost", 0.0) for node in places], dtype=np.float64),
            underage_cost=np.array([node["underage_cost"] for node in by_kind["store"]], dtype=np.float64),
            unit_cost=np.array([edge.get("unit_cost", 0.0) for edge in edges], dtype=np.float64),
            order_cost=np.array([edge.get("order_cost", 0.0) for edge in edges], dtype=np.float64),
            lead_time=np.array([edge["lead_time"] for edge in edges], dtype=np.int64),
            source=np.array([number[edge["source"]] for edge in edges], dtype=np.int64),
            target=np.array([number[edge["target"]] for edge in edges], dtype=np.int64),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"The network cannot be read ({error}); run the study again to keep it anew.") from None


def on_own_terms(network: PlainNetwork, own: OwnTerms) -> PlainNetwork:
    """The network with a row of terms for each scenario; raises UsageError where they are not of this network."""
    rows = len(own.lead_time)
    widths = {"holding_cost": len(network.places), "underage_cost": len(network.stores)}
    for name, array in vars(own).items():
        if array.shape != (rows, widths.get(name, len(network.source))):
            raise UsageError("The kept scenarios are on the terms of another network; evaluate the iteration again.")
    return replace(network, **vars(own))


def on_terms(network: PlainNetwork, terms: Terms) -> PlainNetwork:
    """The network on other terms; no lead time falls below 1."""
    return replace(
        network,
        holding_cost=network.holding_cost * terms.holding,
        underage_cost=network.underage_cost * terms.underage,
        unit_cost=network.unit_cost * terms.purchase,
        order_cost=network.order_cost * terms.purchase,
        lead_time=np.maximum(network.lead_time + terms.longer, 1),
    )


_KINDS = ("supplier", "warehouse", "cross_dock", "store")
