"""What was kept of inventory iterations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.queries.store import content, remembered
from quaestor.simulation.scenarios import SCENARIOS
from quaestor.store import Connection, evidence, networks


@dataclass(frozen=True)
class InventoryEvidence:
    """What was kept of an inventory iteration: learning curve, and the network and held-out demand on which its
    policy can be played again; kept_id names that demand, None where there is none."""

    learning_curve: dict[str, Any] | None
    network: dict[str, Any] | None
    scenarios: dict[str, Any] | None
    kept_id: str | None


@remembered
def inventory_evidence(
    connection: Connection, system: str, iteration_id: str, network_id: str | None
) -> InventoryEvidence:
    """What was kept of one inventory iteration; where no demand was kept with it, the newest of its system."""
    kept = evidence.latest(connection, iteration_id, SCENARIOS) or evidence.newest_of_system(
        connection, system, SCENARIOS
    )
    if kept is not None and kept[1].get("network_id") != network_id:
        kept = None
    return InventoryEvidence(
        learning_curve=content(evidence.latest(connection, iteration_id, "learning_curve")),
        network=networks.get(connection, network_id) if network_id else None,
        scenarios=content(kept),
        kept_id=kept[0] if kept else None,
    )
