"""Verifies a bundle as far as its own content allows: digests, replay, and the certificate's arithmetic."""

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
from quaestor.study import parse


@dataclass(frozen=True)
class Verified:
    """What was checked and held."""

    bundle: Bundle
    certificate: Certificate
    golden: int


def verify_bundle(folder: Path, now: datetime) -> Verified:
    """Opens the bundle (digests, replay), then recomputes its bounds from its episode values to 1e-9.

    Raises QuaestorError for the first thing that does not hold, an expired certificate included.
    """
    bundle = open_bundle(folder)
    certificate = read_certificate((folder / CERTIFICATE).read_bytes(), str(folder / CERTIFICATE))
    values = np.frombuffer((folder / EPISODES).read_bytes(), dtype="<f8")
    found = complaints(certificate, values, now)
    if found:
        raise QuaestorError(f"{folder}: {found[0]}")
    golden = json.loads((folder / GOLDEN).read_bytes())
    return Verified(bundle, certificate, len(golden["decided"]))


def read_certificate(content: bytes, where: str) -> Certificate:
    """Reads a certificate back; raises QuaestorError when it is not one."""
    try:
        return parse(Certificate, json.loads(content), where)
    except (ValueError, UsageError) as error:
        raise QuaestorError(f"{where} is not a certificate: {error}") from None
