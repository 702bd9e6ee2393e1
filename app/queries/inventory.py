"""What was kept of inventory iterations."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.queries.store import content, remembered
from quaestor.errors import UsageError
from quaestor.simulation.network import PlainNetwork, plain_network
from quaestor.simulation.scenarios import SCENARIOS, PlainScenarios, scenarios_from
from quaestor.store import Connection, evidence, networks


@dataclass(frozen=True)
class InventoryEvidence:
    """What was kept of an inventory iteration: learning curve, and the network and held-out demand on which its
    policy can be played again.

    drawn: the network as it was written down. yardsticks: name → iteration id. demand_digest: of network and demand,
    the same for all iterations that were played on the same. damaged: why what was kept cannot be read.
    """

    learning_curve: dict[str, Any] | None
    drawn: dict[str, Any] | None = None
    network: PlainNetwork | None = None
    scenarios: PlainScenarios | None = None
    yardsticks: Mapping[str, str] = field(default_factory=dict)
    demand_digest: str = ""
    damaged: str | None = None


@remembered
def inventory_evidence(
    connection: Connection, system: str, iteration_id: str, network_id: str | None
) -> InventoryEvidence:
    """What was kept of one inventory iteration; where no demand was kept with it, the newest of its system."""
    curve = content(evidence.latest(connection, iteration_id, "learning_curve"))
    kept = evidence.latest(connection, iteration_id, SCENARIOS) or evidence.newest_of_system(
        connection, system, SCENARIOS
    )
    drawn = networks.get(connection, network_id) if network_id else None
    if kept is None or drawn is None or kept[1].get("network_id") != network_id:
        return InventoryEvidence(curve, drawn)
    yardsticks = dict(kept[1].get("yardsticks", {}))
    try:
        network, scenarios = plain_network(drawn), scenarios_from(kept[1])
    except UsageError as error:
        return InventoryEvidence(curve, drawn, yardsticks=yardsticks, damaged=str(error))
    return InventoryEvidence(curve, drawn, network, scenarios, yardsticks, _digest(str(network_id), scenarios))


def _digest(network_id: str, scenarios: PlainScenarios) -> str:
    """A digest of everything that a play depends on but the policy."""
    told = (network_id, scenarios.products, scenarios.first_period, scenarios.history, scenarios.warmup)
    found = hashlib.sha256(repr(told).encode())
    own = vars(scenarios.terms).values() if scenarios.terms else ()
    for array in (
        scenarios.demand, scenarios.calendar, scenarios.opening.on_hand, scenarios.opening.in_transit, *own,
    ):  # fmt: skip
        found.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
