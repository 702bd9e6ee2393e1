"""Issues certificates: from episode values to kept evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quaestor.atomic import write_file
from quaestor.certification.certificate import (
    Certificate,
    CertificateParams,
    Subject,
    certify,
    estimate,
    values_digest,
)
from quaestor.clock import utc_now
from quaestor.registry.judging import CERTIFICATE, keep
from quaestor.store import Store, evidence
from quaestor.study import parse

VALID_DAYS = 90


def current_certificate(
    store: Store, iteration_id: str, subject: Subject, params: CertificateParams
) -> Certificate | None:
    """The newest certificate of an iteration, if it is of this subject and these parameters and has not expired."""
    with store.read() as connection:
        found = evidence.latest(connection, iteration_id, CERTIFICATE)
    if found is None:
        return None
    certificate = parse(Certificate, found[1], "certificate")
    same = certificate.subject == subject and certificate.params == params
    return certificate if same and certificate.expires_at > utc_now().isoformat() else None


def issue_certificate(
    store: Store,
    data_folder: Path,
    iteration_id: str,
    subject: Subject,
    params: CertificateParams,
    values: NDArray[np.float64],
    unsmoothed: float,
    attacked: Sequence[float],
    attacks: str,
    code: str,
) -> Certificate:
    """Computes the bounds from the episode values (episode,), keeps both, and returns the certificate."""
    clipped = np.clip(values, 0.0, subject.cap)
    now = utc_now()
    certificate = Certificate(
        subject=subject,
        params=params,
        bounds=certify(clipped, subject, params),
        estimates=estimate(clipped, subject, params),
        attacked=tuple(attacked),
        attacks=attacks,
        nominal=float(clipped.mean()),
        unsmoothed=unsmoothed,
        beyond_cap=float((values > subject.cap).mean()),
        episodes=len(clipped),
        costs_digest=values_digest(clipped),
        code=code,
        issued_at=now.isoformat(timespec="seconds"),
        expires_at=(now + timedelta(days=VALID_DAYS)).isoformat(timespec="seconds"),
    )
    content = np.ascontiguousarray(clipped, dtype="<f8").tobytes()
    write_file(episodes_path(data_folder, certificate.costs_digest), content)
    keep(store, iteration_id, CERTIFICATE, certificate.as_json())
    return certificate


def episodes_path(data_folder: Path, costs_digest: str) -> Path:
    """Where the episode values of a certificate lie, by their digest."""
    return data_folder / "episodes" / f"{costs_digest}.f64"
