"""Whether the data behind an iteration, and so behind its certificate, has changed since."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from app.queries.store import kept_of_events, remembered
from quaestor.registry.staleness import changed_since, staleness
from quaestor.retention.enforcing import DATA_DELETED
from quaestor.store import Connection, evidence, iterations


@dataclass(frozen=True)
class Stale:
    """Why what an iteration learnt from is not what it was, as a sentence; share: of its records that changed, None
    where its manifest does not say how many they were."""

    sentence: str
    share: float | None


@remembered
def stale_by(connection: Connection, system: str, iteration_id: str) -> Stale | None:
    """What makes an iteration's evidence and certificate stale; None where nothing does."""
    row = iterations.by_prefix(connection, iteration_id)
    data = json.loads(row.manifest)["data"]
    changed = kept_of_events(
        f"changed since {row.iteration_id}",
        lambda: changed_since(connection, system, data, row.created_at),
    )
    gone = evidence.latest(connection, iteration_id, DATA_DELETED)
    said = [staleness(changed, row.created_at)]
    if gone is not None:
        said.append(
            f"Records it rests on were deleted by {gone[1]['by']} ({gone[1]['kind']} older than "
            f"{str(gone[1]['up_to'])[:10]}): it can be verified from its files, not retrained."
        )
    sentences = " ".join(sentence for sentence in said if sentence)
    records = _records(data)
    return Stale(sentences, sum(changed.values()) / records if records else None) if sentences else None


def _records(data: dict[str, Any]) -> int:
    """How many rounds, or records of demand, a manifest names; 0 where it does not say."""
    if "rounds" in data:
        return int(data["rounds"])
    return int(data.get("products", 0)) * int(data.get("stores", 1)) * int(data.get("periods", 0))
