"""Whether the data behind a certificate has changed since."""

from __future__ import annotations

import json

from app.queries.store import remembered
from quaestor.registry.staleness import changed_since, staleness
from quaestor.store import Connection, iterations


@remembered
def stale_by(connection: Connection, system: str, iteration_id: str) -> str | None:
    """Why a certificate is stale, as a sentence; None where it is not."""
    row = iterations.by_prefix(connection, iteration_id)
    changed = changed_since(connection, system, json.loads(row.manifest)["data"], row.created_at)
    return staleness(changed, row.created_at)
