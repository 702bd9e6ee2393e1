"""The flow that keeps the store's memory as short as the windows say."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.alone import alone
from flows.tasks import say, step
from quaestor.clock import utc_now
from quaestor.retention.enforcing import Leaving, leaving, let_go
from quaestor.retention.windows import RetentionWindows, read_windows
from quaestor.settings import Settings
from quaestor.store import deletion


@step("let go what is too old")
def enforce(windows: RetentionWindows, dry_run: bool) -> list[Leaving]:
    """Everything that goes, in one transaction; in a dry run it only would."""
    settings, now = Settings(), utc_now()
    if dry_run:
        with settings.store.read() as connection:
            return leaving(connection, windows, now)
    with settings.store.write() as connection:
        found = leaving(connection, windows, now)
        for going in found:
            let_go(connection, going, settings.actor, now)
    return found


@step("delete ingested files")
def delete_files(days: float, dry_run: bool) -> int:
    """Files of the inbox whose rows have been in the store for so many days; returns how many there were."""
    settings, now = Settings(), time.time()
    moved_before = now - timedelta(days=days).total_seconds()
    old = [path for path in settings.ingested.glob("**/*") if path.is_file() and path.stat().st_ctime < moved_before]
    if old and not dry_run:
        up_to = utc_now() - timedelta(days=days)
        with settings.store.write() as connection:  # written down first: a file is never gone without a word
            deletion.write_down(
                connection, utc_now(), settings.actor, "inbox", "files", up_to, len(old), "ingested long ago"
            )
        for path in old:
            path.unlink(missing_ok=True)
    return len(old)


@flow(name="retention", log_prints=True, timeout_seconds=3600)
def run_retention(windows: Path, dry_run: bool = False) -> list[Leaving]:
    """Deletes what has left the windows, writes it down, and marks the iterations that learnt from it.

    What the live iteration, its rollback target or one that waits for approval rests on stays, unless the file says
    otherwise; either way the run says so. dry_run: only say what would go.
    """
    params = read_windows(windows)
    with alone("retention"):
        found: list[Leaving] = enforce(params, dry_run)
        files = 0 if params.files_days is None else delete_files(params.files_days, dry_run)
    for going in found:
        say(("would go: " if dry_run else "") + going.sentence())
    if files:
        say(f"{files:,} ingested files {'would go' if dry_run else 'went'}.")
    rows = [{"system": g.system, "kind": g.kind, "rows": g.rows, "held": g.held, "said": g.sentence()} for g in found]
    create_table_artifact(
        rows or [{"said": "Nothing is too old."}], key="retention", description="What left the store and what stayed"
    )
    return found
