"""The flow that watches a live canary, and rolls it back by itself."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from flows.studies import PaymentsStudy, canary_of, read_payments_study
from flows.tasks import say, step
from quaestor.clock import utc_now
from quaestor.registry.canary_watch import Watched, watch_live
from quaestor.settings import Settings


@step("watch the canary")
def watch(study: PaymentsStudy) -> Watched:
    """Looks at all rounds so far; looking often does no harm."""
    settings = Settings()
    watched = watch_live(settings.store, settings.data, study.system, canary_of(study), utc_now())
    reasons = " ".join(watched.verdict.reasons)
    say(f"{study.system}: canary {watched.candidate_id[:12]}: {watched.verdict.state}. {reasons}")
    return watched


@flow(name="watch-canary", log_prints=True)
def run_watch_canary(study: Path) -> Watched:
    """Watches the live iteration of the study's system against the one before it.

    Raises UsageError for a study without a table [canary], or a system that never changed hands.
    """
    watched: Watched = watch(read_payments_study(study))
    return watched
