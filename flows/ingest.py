"""The flows that bring event files into the store: those that are named, or whatever lies in the inbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.alone import alone
from flows.tasks import Progress, say, step
from quaestor.errors import QuaestorError, UsageError
from quaestor.log import inbox
from quaestor.log.ingest import IngestSummary, ingest_file
from quaestor.settings import Settings
from quaestor.store import lease

LONGEST = 3600
"""Seconds after which a run is given up; each file it took is whole in the store or not there at all."""


@step("ingest a file")
def ingest_one(file_format: str, path: Path, system: str | None) -> IngestSummary:
    """Ingests one file."""
    with alone(lease.of_file(path)):
        return ingest_file(Settings().store, file_format, path, system)


@flow(name="ingest", log_prints=True, timeout_seconds=LONGEST)
def run_ingest(file_format: str, paths: list[Path], system: str | None = None) -> list[IngestSummary]:
    """Ingests files one after another; a file that was ingested before is passed over."""
    progress, summaries = Progress("ingest", len(paths)), []
    for path in paths:
        summary = ingest_one(file_format, path, system)
        say(summary.sentence())
        summaries.append(summary)
        progress.advance()
    _publish("ingest", summaries)
    return summaries


@flow(name="ingest-inbox", log_prints=True, timeout_seconds=LONGEST)
def run_ingest_inbox(dry_run: bool = False) -> list[IngestSummary]:
    """Ingests every file in the inbox and moves it on; one that cannot be read is set aside, with its reason, and the
    others go on. Killed between the two, the next run finds the file ingested and only moves it.

    dry_run: only say what lies there.
    """
    settings = Settings()
    found = inbox.waiting(settings.inbox)
    for stranger in inbox.strangers(settings.inbox):
        say(f"{stranger} is in no folder of a format such as inbox/decisions; it is left where it is.")
    if dry_run:
        for each in found:
            say(f"would ingest {each.path} as {each.file_format}")
        return []
    progress, summaries, aside = Progress("ingest-inbox", len(found)), [], {}
    for each in found:
        try:
            summary = ingest_one(each.file_format, each.path, each.system)
        except (QuaestorError, UsageError) as error:
            if type(error) not in (QuaestorError, UsageError):  # the store's trouble, not the file's
                raise
            lies = inbox.move_on(each.path, settings.inbox, settings.refused, str(error))
            aside[str(lies)] = str(error)
            say(f"set aside: {lies}: {error}")
        else:
            inbox.move_on(each.path, settings.inbox, settings.ingested)
            say(summary.sentence())
            summaries.append(summary)
        progress.advance()
    _publish("ingest-inbox", summaries, aside)
    return summaries


def _publish(key: str, summaries: Sequence[IngestSummary], aside: dict[str, str] | None = None) -> None:
    rows = [{name: value for name, value in asdict(s).items() if not isinstance(value, dict)} for s in summaries]
    rows += [{"name": path, "set_aside": reason} for path, reason in (aside or {}).items()]
    if rows:
        create_table_artifact(rows, key=key, description="What became of each file")
