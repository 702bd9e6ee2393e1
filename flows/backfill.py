"""The flow that makes up for retrainings that never ran, one for each moment of a range."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.outcome import Retrained
from flows.payments_study import read_payments_study
from flows.retrain_payments import run_retrain_payments
from flows.tasks import Progress, artifact_key, say
from quaestor.clock import utc_now
from quaestor.errors import UsageError


def moments(first: datetime, last: datetime, every_days: float) -> list[datetime]:
    """The moments of a range, both ends included where the step meets them. Raises UsageError for a range that is
    empty, ends in the future (rounds would close before their outcomes can arrive) or has no step."""
    if every_days <= 0:
        raise UsageError(f"--every must be above 0 days, found {every_days:g}.")
    if last < first:
        raise UsageError(f"--to ({last}) lies before --from ({first}).")
    if last > utc_now():
        raise UsageError(f"--to ({last}) lies in the future; a round may not close before its outcome can arrive.")
    step = timedelta(days=every_days)
    return [first + number * step for number in range(int((last - first) / step) + 1)]


@flow(name="backfill", log_prints=True)
def run_backfill(
    study: Path, first: datetime, last: datetime, every_days: float = 1.0, dry_run: bool = False
) -> list[Retrained]:
    """Retrains a payments system as it would have been at each moment, oldest first, against whoever is live now.

    What was done before is found; a moment at which nothing had matured is passed over. Raises UsageError for an
    inventory study: its windows say what it learns from, not the day.
    """
    params = read_payments_study(study)
    wanted = moments(first, last, every_days)
    progress, made = Progress(f"backfill-{params.system}", len(wanted)), []
    for moment in wanted:
        try:
            made.append((moment, run_retrain_payments(study, as_of=moment, dry_run=dry_run)))
        except UsageError as error:
            if "has matured" not in str(error):
                raise
            say(f"{params.system} at {moment:%Y-%m-%d %H:%M} UTC: {error}")
        progress.advance()
    rows = [{"as of": str(moment), "candidate": r.candidate_id[:12], "stage": r.stage} for moment, r in made]
    if rows:
        create_table_artifact(rows, key=artifact_key(f"backfill-{params.system}"), description="Every moment's result")
    return [retrained for _, retrained in made]
