"""Issues certificates: a declaration before any episode is played, and from episode values to kept evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.atomic import write_file
from quaestor.certification.certificate import (
    AttackTried,
    Certificate,
    CertificateParams,
    Subject,
    certify,
    estimate,
    tail_bounds,
    values_digest,
)
from quaestor.clock import utc_now
from quaestor.randomness import stream_seed
from quaestor.registry.canonical import canonical_json
from quaestor.registry.judging import CERTIFICATE, keep
from quaestor.store import Store, evidence
from quaestor.study import parse

VALID_DAYS = 90
RENEWED_DAYS = 14
"""A certificate that ends sooner is not current any more: whoever certifies next renews it."""
DECLARATION = "certificate_declaration"


@dataclass(frozen=True)
class Declaration:
    """What was frozen before the noise was drawn: subject, parameters and so the method, the cap and every level.

    attempt counts the declarations for this iteration, certificates that were never issued included. noise_seed
    follows from the attempt, so that a new seed is a new attempt.
    """

    subject: Subject
    params: CertificateParams
    attempt: int
    noise_seed: int
    declared_at: str


def declare(store: Store, iteration_id: str, subject: Subject, params: CertificateParams) -> Declaration:
    """Keeps what will be certified and how, before any certifying episode is played.

    A declaration of the same that never came to a certificate, because its run was killed, is gone on with: the same
    seed gives the same episodes, so that it is no further attempt.
    """
    with store.write() as connection:
        known = evidence.of_kind(connection, DECLARATION).filter(pl.col("iteration_id") == iteration_id)
        certified = evidence.latest(connection, iteration_id, CERTIFICATE)
        if len(known):
            last = parse(Declaration, json.loads(known["content"][-1]), "declaration")
            done = certified is not None and certified[1]["attempt"] >= last.attempt
            if not done and (last.subject, last.params) == (subject, params):
                return last
        attempt = len(known) + 1
        seed = stream_seed(params.seed, iteration_id, "certificate", attempt)
        declared = Declaration(subject, params, attempt, seed, utc_now().isoformat(timespec="seconds"))
        evidence.add(connection, iteration_id, DECLARATION, canonical_json(asdict(declared)))
    return declared


def current_certificate(
    store: Store, iteration_id: str, subject: Subject, params: CertificateParams
) -> Certificate | None:
    """The newest certificate of an iteration, if it is of this subject and these parameters and does not end soon."""
    certificate = newest_certificate(store, iteration_id)
    if certificate is None:
        return None
    same = certificate.subject == subject and certificate.params == params
    return certificate if same and not ends_soon(certificate, utc_now()) else None


def ends_soon(certificate: Certificate, now: datetime) -> bool:
    """Whether a certificate has ended or is due to be renewed, now in UTC."""
    return datetime.fromisoformat(certificate.expires_at) <= now + timedelta(days=RENEWED_DAYS)


def newest_certificate(store: Store, iteration_id: str) -> Certificate | None:
    """The newest certificate of an iteration, if it has any."""
    with store.read() as connection:
        found = evidence.latest(connection, iteration_id, CERTIFICATE)
    return None if found is None else parse(Certificate, found[1], "certificate")


def was_issued(store: Store, iteration_id: str, certificate: Certificate) -> bool:
    """Whether the store holds this very certificate of an iteration, field by field."""
    with store.read() as connection:
        kept = evidence.of_kind(connection, CERTIFICATE).filter(pl.col("iteration_id") == iteration_id)
    return any(parse(Certificate, json.loads(content), "certificate") == certificate for content in kept["content"])


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
    attacks_tried: Sequence[AttackTried] = (),
    declared: Declaration | None = None,
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
        beyond_cap=float((values >= subject.cap).mean()),
        episodes=len(clipped),
        costs_digest=values_digest(clipped),
        code=code,
        issued_at=now.isoformat(timespec="seconds"),
        expires_at=(now + timedelta(days=VALID_DAYS)).isoformat(timespec="seconds"),
        beyond_cap_bounds=tail_bounds(values, subject, params),
        attacks_tried=tuple(attacks_tried),
        noise_seed=declared.noise_seed if declared else 0,
        declared_at=declared.declared_at if declared else "",
        attempt=declared.attempt if declared else 1,
    )
    content = np.ascontiguousarray(clipped, dtype="<f8").tobytes()
    write_file(episodes_path(data_folder, certificate.costs_digest), content)
    keep(store, iteration_id, CERTIFICATE, certificate.as_json())
    return certificate


def episodes_path(data_folder: Path, costs_digest: str) -> Path:
    """Where the episode values of a certificate lie, by their digest."""
    return data_folder / "episodes" / f"{costs_digest}.f64"
