"""How the command line starts flows: what can be refused is refused before Prefect starts anything."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from quaestor.log.formats import reader
from quaestor.log.ingest import IngestSummary
from quaestor.retention.windows import read_windows


def demo(source: Path | None = None) -> list[Any]:
    """Plays the demo; see `flows.demo.run_demo`."""
    from flows.demo import run_demo

    return run_demo(source)


def ingest(file_format: str, paths: list[Path], system: str | None = None) -> list[IngestSummary]:
    """Ingests files; see `flows.ingest.run_ingest`. Raises UsageError for an unknown format."""
    from flows.ingest import run_ingest

    reader(file_format)
    return run_ingest(file_format, paths, system)


def payments(study: Path, dry_run: bool = False) -> Any:
    """Retrains a payments system; raises UsageError for a study that cannot be read."""
    from flows.payments_study import read_payments_study
    from flows.retrain_payments import run_retrain_payments

    read_payments_study(study)
    return run_retrain_payments(study, dry_run=dry_run)


def inventory(study: Path, dry_run: bool = False) -> Any:
    """Retrains an inventory system; raises UsageError for a study or network that cannot be read."""
    from flows.inventory_study import read_inventory_study
    from flows.retrain_inventory import run_retrain_inventory
    from models.inventory.network import read_network

    read_network(read_inventory_study(study).network)
    return run_retrain_inventory(study, dry_run=dry_run)


def backfill(study: Path, first: datetime, last: datetime, every_days: float, dry_run: bool) -> list[Any]:
    """Retrains for every moment of a range; raises UsageError for a study or a range that cannot be."""
    from flows.backfill import moments, run_backfill
    from flows.payments_study import read_payments_study

    read_payments_study(study)
    moments(first, last, every_days)
    return run_backfill(study, first, last, every_days, dry_run)


def retention(windows: Path, dry_run: bool) -> list[Any]:
    """Lets go what has left the retention windows; raises UsageError for a file that cannot be read."""
    from flows.retention import run_retention

    read_windows(windows)
    return run_retention(windows, dry_run)


def certify(study: Path, iteration_id: str) -> Any:
    """Certifies an iteration again; raises UsageError for a study that cannot be read."""
    from flows.certify import run_certify
    from flows.studies import read_study
    from models.inventory.network import read_network

    params = read_study(study)
    if params.kind == "inventory":
        read_network(params.network)
    return run_certify(study, iteration_id)


def verify(study: Path, bundle: Path, rung: int) -> list[Any]:
    """Climbs the upper rungs of a certificate's verification; raises UsageError for a study that cannot be read."""
    from flows.verify import climb

    return climb(study, bundle, rung)


def canary(study: Path) -> Any:
    """Watches a study's canary; raises UsageError for a study without one or that cannot be read."""
    from flows.payments_study import canary_of, read_payments_study
    from flows.watch_canary import run_watch_canary

    canary_of(read_payments_study(study))
    return run_watch_canary(study)


def export(iteration_id: str) -> str:
    """Exports an iteration; returns the bundle's folder."""
    from flows.export import run_export

    return run_export(iteration_id)
