"""The flow that certifies an iteration again: after its certificate expired, or with other parameters."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from flows import retrain_inventory, retrain_payments
from flows.outcome import report_of
from flows.studies import read_inventory_study, read_payments_study
from flows.tasks import say
from quaestor.clock import utc_now
from quaestor.registry.report import IterationReport
from quaestor.study import read_toml


@flow(name="certify", log_prints=True)
def run_certify(study: Path, iteration_id: str) -> IterationReport:
    """Certifies an iteration by its study's parameters, unless a current certificate says the same already."""
    if read_toml(study).get("kind") == "inventory":
        inventory = read_inventory_study(study)
        _, yardsticks = retrain_inventory.train_yardsticks(inventory)
        new = retrain_inventory.certify(inventory, iteration_id, yardsticks[retrain_inventory.REFERENCE])
    else:
        new = retrain_payments.certify(read_payments_study(study), utc_now(), iteration_id)
    say(f"{iteration_id[:12]}: {'certified' if new else 'the certificate is current'}")
    return report_of(iteration_id)
