"""Two signed bundles of one system, the second a later iteration, made once for all tests of this folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from quaestor.export.bundle import Bundle
from quaestor.export.from_iteration import export_iteration
from quaestor.export.signature import Keys, key_id
from quaestor.settings import Settings
from tests.evidence import approved


def private_key(number: int) -> Ed25519PrivateKey:
    """A key of this test's own."""
    return Ed25519PrivateKey.from_private_bytes(bytes([number] * 32))


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """Its public half as PEM."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """The key itself as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


KEY = private_key(1)
TRUSTED = Keys({key_id(KEY.public_key()): KEY.public_key()})


@dataclass(frozen=True)
class Made:
    """Bundles that nobody may change: tests copy them."""

    first: Bundle
    second: Bundle


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The first and the second iteration of one system, signed."""
    settings = Settings(data=tmp_path_factory.mktemp("exported"))
    bundles = []
    for seed in (0, 1):
        iteration = approved(settings, seed, f"logistic {seed}")
        bundle, _ = export_iteration(
            settings.store, settings.data, iteration.iteration_id, settings.bundles, "ann", key=KEY
        )
        bundles.append(bundle)
    return Made(*bundles)


@pytest.fixture
def bundle(made: Made, tmp_path: Path) -> Path:
    """A copy of the first bundle's folder, to be tampered with."""
    return Path(shutil.copytree(made.first.path, tmp_path / "bundle"))


def rows(count: int, seed: int = 5) -> pl.DataFrame:
    """Rows that the bundles decide without falling back."""
    draw = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "event_id": [f"row-{n}" for n in range(count)],
            "decided_at": ["2026-02-01T00:00:00Z"] * count,
            "eligible": [[f"a{k}" for k in range(4) if k == n % 4 or draw.random() < 0.6] for n in range(count)],
            "numeric_x": draw.normal(size=count).clip(-3, 3),
            "category_level": [f"L{n % 5}" for n in range(count)],
        }
    )
