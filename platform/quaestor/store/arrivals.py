"""How events have arrived: the newest of each kind."""

from __future__ import annotations

import duckdb
import polars as pl


def newest(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The newest decision, outcome and demand record of each system, oldest first: system, part, newest_at (UTC)."""
    return connection.execute(
        """
        select system, 'decisions' as part, max(decided_at) as newest_at from decisions group by system
        union all select system, 'outcomes', max(observed_at) from outcomes group by system
        union all select system, 'demand', max(starts_on)::timestamp from demand group by system
        order by newest_at, system, part
        """
    ).pl()
