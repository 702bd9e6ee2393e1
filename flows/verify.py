"""Climbs the upper rungs of a certificate's verification: identity, the same seeds, fresh seeds, an attack."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np

from flows import payments_training
from flows.certifying import Case, verify_case
from flows.conclude import iteration
from flows.inventory_case import inventory_case
from flows.inventory_problem import load_problem
from flows.inventory_study import read_inventory_study
from flows.payments_case import payments_case
from flows.payments_study import read_payments_study
from quaestor.certification.certificate import Certificate
from quaestor.certification.ladder import Finding
from quaestor.export.bundle import CERTIFICATE, EPISODES, open_bundle
from quaestor.export.verification import read_certificate
from quaestor.registry.certificates import was_issued
from quaestor.settings import Settings
from quaestor.study import read_toml


def climb(study: Path, bundle: Path, rung: int) -> list[Finding]:
    """The findings of rungs 3 to `rung` for the certificate in a bundle, with the study and the store it came from.

    Needs the store that holds the data and the iteration. Raises QuaestorError where either is not there.
    """
    opened = open_bundle(bundle)
    certificate = read_certificate(opened.files[CERTIFICATE], f"{bundle}/{CERTIFICATE}")
    values = np.frombuffer(opened.files[EPISODES], dtype="<f8")
    case = case_of(study, opened.iteration_id, certificate)
    issued = partial(was_issued, Settings().store, opened.iteration_id, certificate)
    return verify_case(certificate, values, case, rung, issued)


def case_of(study: Path, iteration_id: str, certificate: Certificate) -> Case:
    """What can be played of an iteration, with the data as they were when it was certified."""
    settings, candidate = Settings(), iteration(iteration_id)
    if read_toml(study).get("kind") == "inventory":
        inventory = read_inventory_study(study)
        recorded = load_problem(settings, inventory)
        return inventory_case(inventory, recorded, candidate, certificate.subject.cap)
    payments = read_payments_study(study)
    trained_on = candidate.inputs.data
    same = trained_on.get("digest") == certificate.subject.data_digest and "as_of" in trained_on
    as_of = datetime.fromisoformat(str(trained_on["as_of"]) if same else certificate.declared_at)
    return payments_case(payments, payments_training.load_rounds(settings, payments, as_of), candidate)
