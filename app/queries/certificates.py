"""Whether the data behind a certificate has changed since."""

from __future__ import annotations

import json

from app.queries.store import remembered
from quaestor.registry.staleness import changed_since, staleness
from quaestor.retention.enforcing import DATA_DELETED
from quaestor.store import Connection, evidence, iterations


@remembered
def stale_by(connection: Connection, system: str, iteration_id: str) -> str | None:
    """Why a certificate is stale, as a sentence; None where it is not."""
    row = iterations.by_prefix(connection, iteration_id)
    changed = changed_since(connection, system, json.loads(row.manifest)["data"], row.created_at)
    gone = evidence.latest(connection, iteration_id, DATA_DELETED)
    said = [staleness(changed, row.created_at)]
    if gone is not None:
        said.append(
            f"Records it rests on were deleted by {gone[1]['by']} ({gone[1]['kind']} older than "
            f"{str(gone[1]['up_to'])[:10]}): it can be verified from its files, not retrained."
        )
    return " ".join(sentence for sentence in said if sentence) or None
