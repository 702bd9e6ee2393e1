"""The networks that iterations were trained for."""

from __future__ import annotations

import json
from typing import Any

import duckdb

from quaestor.clock import utc_now


def add(connection: duckdb.DuckDBPyConnection, network_id: str, name: str, content: str) -> None:
    """Keeps a network (content as JSON); the same again changes nothing."""
    if get(connection, network_id) is None:
        connection.execute("insert into networks values (?, ?, ?, ?)", [network_id, name, content, utc_now()])


def get(connection: duckdb.DuckDBPyConnection, network_id: str) -> dict[str, Any] | None:
    """A network's content by its id."""
    row = connection.execute("select content from networks where network_id = ?", [network_id]).fetchone()
    return json.loads(row[0]) if row else None
