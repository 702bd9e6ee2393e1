"""What was kept of inventory iterations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.queries.iterations import Iteration
from app.queries.store import content, reading
from quaestor.store import evidence, networks


@dataclass(frozen=True)
class InventoryEvidence:
    """What was kept of an inventory iteration: learning curve, plays of a few products, and the network."""

    learning_curve: dict[str, Any] | None
    plays: dict[str, Any] | None
    network: dict[str, Any] | None


def inventory_evidence(chosen: Iteration) -> InventoryEvidence:
    """What was kept of one inventory iteration."""
    name, against = chosen.iteration_id, chosen.report.incumbent_id
    with reading() as connection:
        return InventoryEvidence(
            learning_curve=content(evidence.latest(connection, name, "learning_curve")),
            plays=content(evidence.latest(connection, name, "plays", against)),
            network=networks.get(connection, str(chosen.data.get("network_id"))),
        )
