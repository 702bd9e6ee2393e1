"""Signs bundles and checks signatures: Ed25519 (RFC 8032) over the list of checksums."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from quaestor.errors import QuaestorError, UsageError
from quaestor.export.strict_json import StrictJsonError, strict_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNING_KEY, TRUSTED_KEYS, REVOKED_KEYS = "QUAESTOR_SIGNING_KEY", "QUAESTOR_KEYS", "QUAESTOR_REVOKED_KEYS"
"""Environment variables: a key as PEM text, or the path of a file that holds it."""

ALGORITHM = "Ed25519"
_PURPOSE = b"quaestor bundle checksums\n"
"""Goes before what is signed, so that the key's signatures on other things mean nothing here."""

_PEM = re.compile(rb"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----\s*", re.DOTALL)


@dataclass(frozen=True)
class Keys:
    """Public keys by their ids: `trusted` may sign; `revoked` may not, whatever they signed and when."""

    trusted: dict[str, Ed25519PublicKey]
    revoked: frozenset[str] = frozenset()


def read_keys(trusted: Sequence[Path | str | bytes], revoked: Sequence[Path | str | bytes] = ()) -> Keys:
    """Public keys from PEM files or PEM text; a file may hold several.

    Raises UsageError for a missing file or one without an Ed25519 public key.
    """
    named = {key_id(key): key for source in trusted for key in _public_keys(source)}
    return Keys(named, frozenset(key_id(key) for source in revoked for key in _public_keys(source)))


def find_keys(trusted: Sequence[Path | str | bytes] = (), revoked: Sequence[Path | str | bytes] = ()) -> Keys | None:
    """The given keys, or those of QUAESTOR_KEYS where none are given; what QUAESTOR_REVOKED_KEYS revokes is always
    revoked. None where there are no trusted keys at all; raises UsageError where some are revoked all the same."""
    environment = [os.environ[name] for name in (TRUSTED_KEYS,) if os.environ.get(name)]
    gone = [*revoked, *(os.environ[name] for name in (REVOKED_KEYS,) if os.environ.get(name))]
    named = list(trusted) or environment
    if not named and gone:
        raise UsageError(f"Keys are revoked but none is trusted; give --key PEM or set {TRUSTED_KEYS}.")
    return read_keys(named, gone) if named else None


def signing_key(source: Path | str | bytes | None = None) -> Ed25519PrivateKey | None:
    """A private key from a PEM file or PEM text, or from QUAESTOR_SIGNING_KEY; None where neither is given.

    Raises UsageError for anything that is not one.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    source = source or os.environ.get(SIGNING_KEY)
    if not source:
        return None
    try:
        key = load_pem_private_key(_pem(source), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(
            "The signing key is not an Ed25519 private key in PEM; make one: openssl genpkey -algorithm ed25519."
        )
    return key


def key_id(key: Ed25519PublicKey) -> str:
    """The short name of a public key: the start of the sha256 of its 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def sign(checksums: bytes, system: str, key: Ed25519PrivateKey) -> bytes:
    """The signature file for these checksums; signing again gives the same bytes."""
    signature = base64.b64encode(key.sign(_PURPOSE + checksums)).decode()
    content = {
        "algorithm": ALGORITHM,
        "key": key_id(key.public_key()),
        "system": system,
        "signs": hashlib.sha256(checksums).hexdigest(),
        "signature": signature,
    }
    return json.dumps(content, indent=1).encode()


def check(signature: bytes, checksums: bytes, keys: Keys, where: str) -> str:
    """The id of the trusted key that signed these checksums; raises QuaestorError with the reason otherwise."""
    from cryptography.exceptions import InvalidSignature

    parts = signature_parts(signature, where)
    if parts["algorithm"] != ALGORITHM:
        raise QuaestorError(f"{where}: signed with {parts['algorithm']!r}; only {ALGORITHM} counts.")
    if parts["signs"] != hashlib.sha256(checksums).hexdigest():
        raise QuaestorError(f"{where}: the signature is of another bundle, of system {parts['system']!r}.")
    if parts["key"] in keys.revoked:
        raise QuaestorError(f"{where}: signed with key {parts['key']}, which is revoked.")
    key = keys.trusted.get(parts["key"])
    if key is None:
        known = ", ".join(sorted(keys.trusted)) or "none"
        raise QuaestorError(f"{where}: signed with key {parts['key']}, which is not trusted here (trusted: {known}).")
    try:
        key.verify(base64.b64decode(parts["signature"], validate=True), _PURPOSE + checksums)
    except (InvalidSignature, ValueError):
        raise QuaestorError(
            f"{where}: the signature is not that of key {parts['key']}; the bundle was changed."
        ) from None
    return parts["key"]


def signature_parts(signature: bytes, where: str) -> dict[str, str]:
    """The fields of a signature file; raises QuaestorError where it is none."""
    try:
        parts = strict_json(signature)
    except StrictJsonError as error:
        raise QuaestorError(f"{where}: the signature cannot be read: {error}.") from None
    expected = {"algorithm", "key", "system", "signs", "signature"}
    if not isinstance(parts, dict) or set(parts) != expected or not all(isinstance(v, str) for v in parts.values()):
        raise QuaestorError(f"{where}: the signature must have exactly {', '.join(sorted(expected))}, as text.")
    return parts


def _public_keys(source: Path | str | bytes) -> list[Ed25519PublicKey]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    found = []
    for block in _PEM.findall(_pem(source)):
        try:
            key = load_pem_public_key(block)
        except ValueError:
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise UsageError(
                "A trusted key is not an Ed25519 public key in PEM; openssl pkey -in KEY.pem -pubout prints it."
            )
        found.append(key)
    if not found:
        raise UsageError("No public key found; expected PEM: openssl pkey -in KEY.pem -pubout prints it.")
    return found


def _pem(source: Path | str | bytes) -> bytes:
    content = source.encode() if isinstance(source, str) else source
    if isinstance(content, bytes) and b"-----BEGIN" in content:
        return content
    path = Path(os.fsdecode(content)) if isinstance(content, bytes) else content
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"No key at {path}: {error.strerror}.") from None
