"""Verifies a bundle as far as its own content allows: signature, digests, replay, and the certificate's arithmetic."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from quaestor.certification.certificate import Certificate
from quaestor.certification.verification import complaints
from quaestor.errors import QuaestorError, UsageError
from quaestor.export.bundle import CERTIFICATE, EPISODES, GOLDEN, Bundle, open_bundle
from quaestor.export.signature import Keys
from quaestor.study import parse


@dataclass(frozen=True)
class Verified:
    """What was checked and held."""

    bundle: Bundle
    certificate: Certificate
    golden: int


def verify_bundle(path: Path, now: datetime, keys: Keys | None = None) -> Verified:
    """Opens the bundle (signature where keys are given, digests, replay), then recomputes its bounds from its
    episode values to 1e-9.

    Raises QuaestorError for the first thing that does not hold, an expired certificate included.
    """
    return verify_opened(open_bundle(path, keys), path, now)


def verify_opened(bundle: Bundle, path: Path, now: datetime) -> Verified:
    """Recomputes the bounds of a bundle that was opened, and so checked, from its episode values to 1e-9.

    Raises QuaestorError for the first thing that does not hold, an expired certificate included.
    """
    certificate = read_certificate(bundle.files[CERTIFICATE], f"{path}/{CERTIFICATE}")
    try:
        values = np.frombuffer(bundle.files[EPISODES], dtype="<f8")
    except ValueError:
        raise QuaestorError(f"{path}/{EPISODES} holds no episode values.") from None
    found = complaints(certificate, values, now)
    if found:
        raise QuaestorError(f"{path}: {found[0]}")
    return Verified(bundle, certificate, len(json.loads(bundle.files[GOLDEN])["decided"]))


def read_certificate(content: bytes, where: str) -> Certificate:
    """Reads a certificate back; raises QuaestorError when it is not one."""
    try:
        return parse(Certificate, json.loads(content), where)
    except (ValueError, UsageError) as error:
        raise QuaestorError(f"{where} is not a certificate: {error}") from None
