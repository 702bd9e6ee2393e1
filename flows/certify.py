"""The flows that certify again: an iteration that is named, or the live one before its certificate ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from flows import payments_training, retrain_payments
from flows.alone import alone, policies_of
from flows.outcome import report_of
from flows.payments_study import PaymentsStudy
from flows.runner import task_runner
from flows.studies import read_study
from flows.tasks import artifact_key, say
from quaestor.clock import utc_now
from quaestor.registry.certificates import ends_soon, newest_certificate
from quaestor.registry.report import IterationReport
from quaestor.settings import Settings
from quaestor.store import audit

if TYPE_CHECKING:
    from flows.inventory_study import InventoryStudy

LONGEST = 12 * 3600


@flow(name="certify", log_prints=True, timeout_seconds=LONGEST, task_runner=task_runner())
def run_certify(study: Path, iteration_id: str) -> IterationReport:
    """Certifies an iteration by its study's parameters, unless a current certificate says the same already."""
    params = read_study(study)
    new = certify_again(params, iteration_id)
    say(f"{iteration_id[:12]}: {'certified' if new else 'the certificate is current'}")
    return report_of(iteration_id, params.system)


@flow(name="renew-certificate", log_prints=True, timeout_seconds=LONGEST, task_runner=task_runner())
def run_renew_certificate(study: Path, dry_run: bool = False) -> str:
    """Certifies the live iteration again where its certificate ends soon; returns what was done.

    An iteration that went live without a certificate, such as the rule in use before, has none to renew. dry_run:
    only say what would be done.
    """
    params = read_study(study)
    settings = Settings()
    with settings.store.read() as connection:
        live = audit.live(connection, params.system)
    certificate = newest_certificate(settings.store, live) if live else None
    if live is None or certificate is None:
        said = f"{params.system}: {'nothing is live' if live is None else f'{live[:12]} was never certified'}."
    elif not ends_soon(certificate, utc_now()):
        said = f"{params.system}: the certificate of {live[:12]} is valid until {certificate.expires_at} UTC."
    elif dry_run:
        said = f"{params.system}: {live[:12]} would be certified again; its certificate ends {certificate.expires_at}."
    else:
        certify_again(params, live)
        renewed = newest_certificate(settings.store, live)
        said = f"{params.system}: {live[:12]} was certified again" + (
            f", until {renewed.expires_at} UTC." if renewed else "."
        )
    say(said)
    create_markdown_artifact(said, key=artifact_key(f"certify-{params.system}"), description="The live certificate")
    return said


def certify_again(study: PaymentsStudy | InventoryStudy, iteration_id: str) -> bool:
    """Certifies an iteration; False where its certificate is current."""
    with alone(policies_of(study.system)):
        if not isinstance(study, PaymentsStudy):
            from flows import retrain_inventory
            from flows.yardsticks import REFERENCE

            _, yardsticks = retrain_inventory.train_yardsticks(study)
            return bool(retrain_inventory.certify(study, iteration_id, yardsticks[REFERENCE], share=True))
        return bool(retrain_payments.certify(study, payments_training.moment_of(Settings()), iteration_id, share=True))
