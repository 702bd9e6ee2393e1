"""The flow that retrains many systems at once, batched so that the engine's own work stays small beside theirs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from flows import payments_training, retrain_inventory, retrain_payments
from flows.payments_study import PaymentsStudy
from flows.runner import task_runner, workers
from flows.studies import read_study
from flows.tasks import Progress, say
from quaestor.errors import QuaestorError, UsageError
from quaestor.settings import Settings

BATCHES_PER_WORKER = 4
"""Enough that no worker idles long at the end, few enough that a batch's start is small beside its work."""
LARGEST_BATCH = 50


@dataclass(frozen=True)
class Done:
    """One study's retraining: how it stands, what of it was found done, and the seconds it took; error: why there is
    no result."""

    study: str
    system: str
    candidate_id: str
    stage: str
    done_before: tuple[str, ...]
    seconds: float
    error: str | None = None


@task(name="retrain a batch", cache_policy=NO_CACHE)
def retrain_batch(studies: list[Path]) -> list[Done]:
    """Retrains one study after another; one that fails does not keep the others from it."""
    return [retrain_one(study) for study in studies]


def retrain_one(study: Path) -> Done:
    """Retrains one study of either kind, as its own flow does; what was done before is found."""
    started = time.perf_counter()
    try:
        params = read_study(study)
        if isinstance(params, PaymentsStudy):
            retrained = retrain_payments.retrain(params, payments_training.moment_of(Settings()))
        else:
            retrained = retrain_inventory.retrain(params)
    except QuaestorError as error:
        return Done(str(study), "", "", "failed", (), time.perf_counter() - started, str(error))
    seconds = time.perf_counter() - started
    return Done(str(study), retrained.system, retrained.candidate_id, retrained.stage, retrained.done_before, seconds)


@flow(name="retrain-many", log_prints=True, task_runner=task_runner(), timeout_seconds=7 * 24 * 3600)
def run_retrain_many(studies: Path, batch: Annotated[int, Field(ge=1)] | None = None) -> list[Done]:
    """Retrains every study in a folder, batch by batch, on whatever the setting QUAESTOR_RUNNER names.

    batch: studies to a task, by default a few batches for each worker. Run again, only what is missing is done.
    Raises UsageError for a folder without studies, QuaestorError when any study failed, after all others are done.
    """
    paths = sorted(path for path in studies.resolve().glob("*.toml") if not path.name.endswith(".network.toml"))
    if not paths:
        raise UsageError(f"No study in {studies}; expected one TOML file for each system.")
    size = batch or max(1, min(LARGEST_BATCH, len(paths) // (BATCHES_PER_WORKER * workers())))
    batches = [paths[first : first + size] for first in range(0, len(paths), size)]
    say(f"{len(paths):,} studies in {len(batches):,} batches of {size} for {workers()} workers")
    progress, done = Progress("retrain-many", len(batches)), []
    for future in [retrain_batch.submit(each) for each in batches]:
        done += future.result()
        progress.advance()
    failed = [each for each in done if each.error]
    stages = sorted({each.stage for each in done})
    rows: list[dict[str, str | int]] = [
        {"stage": stage, "studies": sum(each.stage == stage for each in done)} for stage in stages
    ]
    rows += [{"stage": "failed", "studies": each.study, "error": str(each.error)} for each in failed[:100]]
    create_table_artifact(rows, key="retrain-many", description="How many studies stand where")
    if failed:
        raise QuaestorError(
            f"{len(failed):,} of {len(done):,} studies were not retrained; the first: {failed[0].study}: "
            f"{failed[0].error} The others are done; run it again for these."
        )
    return done
