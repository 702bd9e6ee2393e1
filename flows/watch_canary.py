"""The flow that watches a live canary, and rolls it back by itself."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from flows.payments_study import PaymentsStudy, canary_of, read_payments_study
from flows.tasks import artifact_key, say, step
from quaestor.clock import utc_now
from quaestor.registry.canary_watch import Watched, watch_live
from quaestor.registry.promotion import live_history
from quaestor.settings import Settings
from quaestor.store import audit, files


@step("watch the canary")
def watch(study: PaymentsStudy) -> Watched | None:
    """Looks at all rounds so far; looking often does no harm. None while nothing was live before the live iteration."""
    settings = Settings()
    with settings.store.read() as connection:
        history = live_history(audit.trail(connection, study.system))
        as_of = files.heard_until(connection, utc_now())
    if len(history) < 2:
        say(f"{study.system}: no iteration was live before the current one; there is no canary to watch.")
        return None
    return watch_live(settings.store, settings.data, study.system, canary_of(study), as_of)


@flow(name="watch-canary", log_prints=True, timeout_seconds=1800)
def run_watch_canary(study: Path) -> Watched | None:
    """Watches the live iteration of the study's system against the one before it.

    Raises UsageError for a study without a table [canary].
    """
    params = read_payments_study(study)
    canary_of(params)
    watched: Watched | None = watch(params)
    if watched is not None:
        reasons = " ".join(watched.verdict.reasons)
        said = f"{params.system}: canary {watched.candidate_id[:12]}: {watched.verdict.state}. {reasons}"
        say(said)
        create_markdown_artifact(
            f"{said}\n\nLive: {watched.live_id[:12]}.",
            key=artifact_key(f"canary-{params.system}"),
            description=f"The canary of {params.system}",
        )
    return watched
