"""What came in after a moment although it belongs before another one: it changes what was learnt from already."""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb

from quaestor.store import forgetting

FORGOTTEN = "forgotten rounds"
_LATE = "(select digest from ingested_files where ingested_at > $since)"


def rounds(
    connection: duckdb.DuckDBPyConnection,
    system: str,
    since: datetime,
    first: datetime,
    closed: datetime,
    attribution_hours: float,
) -> dict[str, int]:
    """Of the rounds decided from `first` to `closed`, what files brought after `since` (UTC): decisions; outcomes in
    time; corrections, which are outcomes of a higher revision; and contradictions, outcomes and decisions that say
    otherwise than what is known and wait in quarantine. And those that were forgotten since."""
    named = {
        "system": system, "since": since, "first": first, "closed": closed,
        "window": timedelta(hours=attribution_hours),
    }  # fmt: skip
    row = connection.execute(
        f"""
        select (select count(*) from decisions where system = $system and file_digest in {_LATE}
                and decided_at between $first and $closed),
            count(*) filter (revision = 0), count(*) filter (revision > 0),
            (select count(*) from quarantine where system = $system and code = 'conflict' and released_at is null
                and kind in ('decisions', 'outcomes') and quarantined_at > $since)
        from outcomes where system = $system and file_digest in {_LATE} and decided_at between $first and $closed
            and observed_at <= decided_at + $window
        """,
        named,
    ).fetchone()
    came = dict(zip(("decisions", "outcomes", "corrections", "contradictions"), row or (0, 0, 0, 0), strict=True))
    return {**came, FORGOTTEN: forgetting.rounds_forgotten(connection, system, since, first, closed)}


def demand(connection: duckdb.DuckDBPyConnection, system: str, since: datetime, periods: int) -> dict[str, int]:
    """Of the first so many periods of a system's demand, what files brought after `since` (UTC): records, and
    contradictions that wait in quarantine."""
    row = connection.execute(
        f"""
        select count(*),
            (select count(*) from quarantine where system = $system and code = 'conflict' and released_at is null
                and kind = 'demand' and quarantined_at > $since)
        from demand where system = $system and file_digest in {_LATE}
            and period < (select min(period) from demand where system = $system) + $periods
        """,
        {"system": system, "since": since, "periods": periods},
    ).fetchone()
    return dict(zip(("records of demand", "contradictions"), row or (0, 0), strict=True))
