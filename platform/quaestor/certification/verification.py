"""Checks a certificate against the episode values it was computed from: the second rung of verification."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from quaestor.certification.certificate import Certificate, certify, estimate, tail_bounds, values_digest

TOLERANCE = 1e-9


def complaints(certificate: Certificate, values: NDArray[np.float64], now: datetime) -> list[str]:
    """What is wrong with a certificate, as sentences; empty when it holds.

    Checks the values' digest, their number, their mean, how many lie at the cap, that bounds and estimates follow from
    them to 1e-9, that no attack on record lies beyond its bound, and the expiry.
    """
    found = []
    if values_digest(values) != certificate.costs_digest or len(values) != certificate.episodes:
        found.append("The episode values are not those the certificate was computed from.")
    else:
        found += arithmetic_complaints(certificate, values)
    if now > datetime.fromisoformat(certificate.expires_at):
        found.append(f"The certificate expired at {certificate.expires_at}; certify again on recent data.")
    return found


def arithmetic_complaints(certificate: Certificate, values: NDArray[np.float64]) -> list[str]:
    """What in the certificate does not follow from the values (episode,), as sentences."""
    found = []
    subject, params = certificate.subject, certificate.params
    for name, stated, recomputed in (
        ("bound", certificate.bounds, certify(values, subject, params)),
        ("estimate", certificate.estimates, estimate(values, subject, params)),
        ("tail bound", certificate.beyond_cap_bounds, tail_bounds(values, subject, params)),
    ):
        if len(stated) != len(recomputed):
            found.append(f"There are {len(stated)} {name}s for {len(params.budgets)} budgets.")
        for budget, said, again in zip(params.budgets, stated, recomputed, strict=False):
            if not abs(said - again) <= TOLERANCE:
                found.append(f"The {name} at budget {budget:g} is stated as {said:.10g} but is {again:.10g}.")
    if not abs(float(values.mean()) - certificate.nominal) <= TOLERANCE:
        found.append(f"The nominal mean is stated as {certificate.nominal:.10g} but is {values.mean():.10g}.")
    beyond = float((values >= subject.cap).mean())
    if not abs(beyond - certificate.beyond_cap) <= TOLERANCE:
        found.append(f"{certificate.beyond_cap:.2%} of values are said to lie at the cap or above; {beyond:.2%} do.")
    sign = 1 if subject.quantity == "cost" else -1
    for budget, bound, attacked in zip(params.budgets, certificate.bounds, certificate.attacked, strict=False):
        if sign * (attacked - bound) > 0:
            found.append(
                f"The attack on record at budget {budget:g} led to {attacked:.6g}, beyond the bound {bound:.6g}."
            )
    return found
