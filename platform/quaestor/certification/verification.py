"""Checks a certificate against the episode values it was computed from."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from quaestor.certification.certificate import Certificate, certify, values_digest

TOLERANCE = 1e-9


def complaints(certificate: Certificate, values: NDArray[np.float64], now: datetime) -> list[str]:
    """What is wrong with a certificate, as sentences; empty when it holds.

    Checks the values' digest, their number, their mean, that the bounds follow from them to 1e-9, and the expiry.
    """
    found = []
    if values_digest(values) != certificate.costs_digest or len(values) != certificate.episodes:
        found.append("The episode values are not those the certificate was computed from.")
    else:
        again = certify(values, certificate.subject, certificate.params)
        for budget, stated, recomputed in zip(certificate.params.budgets, certificate.bounds, again, strict=True):
            if abs(stated - recomputed) > TOLERANCE:
                found.append(f"The bound at budget {budget:g} is stated as {stated:.10g} but is {recomputed:.10g}.")
        if abs(float(values.mean()) - certificate.nominal) > TOLERANCE:
            found.append(f"The nominal mean is stated as {certificate.nominal:.10g} but is {values.mean():.10g}.")
    if now > datetime.fromisoformat(certificate.expires_at):
        found.append(f"The certificate expired at {certificate.expires_at}; certify again on recent data.")
    return found
