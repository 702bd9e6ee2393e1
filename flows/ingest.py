"""The flow that brings event files into the store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.tasks import say, step
from quaestor.log.ingest import IngestSummary, ingest_file
from quaestor.settings import Settings


@step("ingest a file")
def ingest_one(file_format: str, path: Path, system: str | None) -> IngestSummary:
    """Ingests one file."""
    return ingest_file(Settings().store, file_format, path, system)


@flow(name="ingest", log_prints=True)
def run_ingest(file_format: str, paths: list[Path], system: str | None = None) -> list[IngestSummary]:
    """Ingests files one after another; a file that was ingested before is passed over."""
    summaries = []
    for path in paths:
        summary = ingest_one(file_format, path, system)
        say(summary.sentence())
        summaries.append(summary)
    rows = [{key: value for key, value in asdict(s).items() if not isinstance(value, dict)} for s in summaries]
    create_table_artifact(rows, key="ingest", description="What became of each file")
    return summaries
