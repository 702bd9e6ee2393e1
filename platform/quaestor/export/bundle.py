"""A bundle: the files of a certified policy and everything needed to check it before it decides.

Nothing in it is parsed before its digest has been compared, and nothing is trusted that its signature does not cover:
signature → list of checksums → every file → graph → golden choices.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quaestor.atomic import write_file, write_folder
from quaestor.errors import QuaestorError
from quaestor.export.contents import ARCHIVE, archive_bytes, read_contents
from quaestor.export.golden import golden_choices, replay
from quaestor.export.input_schema import input_schema
from quaestor.export.policy import GRAPH, SPEC, Policy, load_policy
from quaestor.export.signature import Keys, check, key_id, sign, signature_parts
from quaestor.export.strict_json import StrictJsonError, strict_json

if TYPE_CHECKING:
    import polars as pl
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FORMAT = 2
"""Of bundles. This one and the two before it load, but not 1: it had no signature, serial number or input schema."""
_OLDEST = max(2, FORMAT - 2)

MANIFEST, CERTIFICATE, EVALUATION = "manifest.json", "certificate.json", "evaluation.json"
GOLDEN, EPISODES, CARD, MATERIALS = "golden.json", "episodes.f64", "card.md", "materials.json"
CHECKSUMS, SIGNATURE = "checksums.json", "signature.json"
REQUIRED = (GRAPH, SPEC, MANIFEST, CERTIFICATE, EVALUATION, GOLDEN, EPISODES, CARD, MATERIALS)


@dataclass(frozen=True)
class Bundle:
    """A bundle that has been checked.

    digest: of its list of checksums, which names every file. serial: the place of its iteration among those of the
    system, from 1. signed: whether it carries a signature; signed_by: the trusted key that made it, None where no
    keys were given to check it with.
    """

    path: Path
    digest: str
    iteration_id: str
    serial: int
    signed: bool
    signed_by: str | None
    policy: Policy
    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]

    @property
    def system(self) -> str:
        """The system that it decides for."""
        return self.policy.spec.system

    @property
    def archive(self) -> Path:
        """Where its single-file form lies, beside its folder."""
        return self.path if self.path.suffix == ARCHIVE else self.path.with_name(self.path.name + ARCHIVE)

    def trust(self) -> str:
        """Whether its origin is known, as a sentence."""
        if self.signed_by:
            return f"Signed by trusted key {self.signed_by}."
        if self.signed:
            return "SIGNATURE NOT CHECKED: no trusted keys were given; anyone may have made this bundle."
        return "UNSIGNED: anyone may have made or changed this bundle."


def write_bundle(
    folder: Path,
    iteration_id: str,
    serial: int,
    files: Mapping[str, bytes],
    golden_rows: pl.DataFrame,
    key: Ed25519PrivateKey | None = None,
) -> Bundle:
    """Writes a bundle as a folder and as an archive beside it, signed where a key is given.

    files holds every required file but the golden choices, which are made here. Either form appears only after the
    whole was checked and its replay has agreed. A bundle that is there already is only checked, and signed again
    where a key is given.
    """
    if folder.exists():
        content = read_contents(folder)
        open_contents(content, folder)
    else:
        policy = load_policy(files[GRAPH], files[SPEC], str(folder))
        content = {**files, GOLDEN: golden_choices(policy, golden_rows, iteration_id)}
        sums = {name: hashlib.sha256(part).hexdigest() for name, part in sorted(content.items())}
        head = {"format": FORMAT, "system": policy.spec.system, "iteration_id": iteration_id, "serial": serial}
        content[CHECKSUMS] = json.dumps({**head, "files": sums}, indent=1).encode()
    if key is not None:
        system = strict_json(content[CHECKSUMS])["system"]
        content[SIGNATURE] = sign(content[CHECKSUMS], system, key)
    own = Keys({key_id(key.public_key()): key.public_key()}) if key is not None else None
    bundle = open_contents(content, folder, own)
    write_folder(folder, content)
    signature = folder / SIGNATURE
    if key is not None and not (signature.exists() and signature.read_bytes() == content[SIGNATURE]):
        write_file(signature, content[SIGNATURE], by_way_of=folder.parent)
    if not bundle.archive.exists() or bundle.archive.read_bytes() != archive_bytes(content):
        write_file(bundle.archive, archive_bytes(content))
    return bundle


def open_bundle(path: Path, keys: Keys | None = None, after: int | None = None) -> Bundle:
    """Checks a bundle, folder or archive, and loads its policy.

    With keys, one of them must have signed it. With `after`, its iteration must come after that serial number.
    Raises QuaestorError, with one sentence, for the first thing that does not hold.
    """
    return open_contents(read_contents(path), path, keys, after)


def open_contents(files: Mapping[str, bytes], path: Path, keys: Keys | None = None, after: int | None = None) -> Bundle:
    """Checks the files of a bundle, as `open_bundle` does; `path` names them in messages."""
    where = str(path)
    if CHECKSUMS not in files:
        raise QuaestorError(f"{where}: {CHECKSUMS} is missing; this is not a whole bundle.")
    signed_by = _signer(files, keys, where)
    head = _head(files[CHECKSUMS], where)
    _compare(files, head["files"], where)
    policy = load_policy(files[GRAPH], files[SPEC], where)
    manifest = _object(files[MANIFEST], f"{where}/{MANIFEST}")
    certificate = _object(files[CERTIFICATE], f"{where}/{CERTIFICATE}")
    _refuse_strangers(head, policy, manifest, certificate, files, where)
    if after is not None and head["serial"] < after:
        raise QuaestorError(
            f"{where} holds iteration {head['serial']} of {head['system']!r}, older than {after}, which was already "
            "live here; an authorised rollback is needed to go back."
        )
    replay(policy, files[GOLDEN], head["iteration_id"], where)
    digest = hashlib.sha256(files[CHECKSUMS]).hexdigest()
    return Bundle(
        path, digest, head["iteration_id"], head["serial"], SIGNATURE in files, signed_by, policy, manifest, files
    )


def _signer(files: Mapping[str, bytes], keys: Keys | None, where: str) -> str | None:
    if SIGNATURE in files:
        if keys is not None:
            return check(files[SIGNATURE], files[CHECKSUMS], keys, where)
        parts = signature_parts(files[SIGNATURE], where)
        if parts["signs"] != hashlib.sha256(files[CHECKSUMS]).hexdigest():
            raise QuaestorError(f"{where}: the signature is of another bundle, of system {parts['system']!r}.")
    elif keys is not None:
        raise QuaestorError(f"{where} is not signed; only bundles signed by a trusted key are loaded here.")
    return None


def _head(checksums: bytes, where: str) -> dict[str, Any]:
    head = _object(checksums, f"{where}/{CHECKSUMS}")
    found = head.get("format", 1)
    if type(found) is not int or not _OLDEST <= found <= FORMAT:
        what = "Update quaestor." if type(found) is int and found > FORMAT else "Export the iteration again."
        raise QuaestorError(f"{where}: expected bundle format {_OLDEST} to {FORMAT}, found {found}. {what}")
    kinds = {"system": str, "iteration_id": str, "serial": int, "files": dict}
    if any(type(head.get(name)) is not kind for name, kind in kinds.items()):
        raise QuaestorError(f"{where}: {CHECKSUMS} is not readable; the bundle was changed. Export it again.")
    for name in sorted(set(REQUIRED) - set(head["files"])):
        raise QuaestorError(f"{where}: {CHECKSUMS} does not list {name}; the bundle is not complete.")
    return head


def _compare(files: Mapping[str, bytes], expected: Mapping[str, Any], where: str) -> None:
    present = set(files) - {CHECKSUMS, SIGNATURE}
    for name in sorted(present ^ set(expected)):
        what = "is not listed in" if name in present else "is missing but listed in"
        raise QuaestorError(f"{where}: {name} {what} {CHECKSUMS}; the bundle was changed. Export it again.")
    for name in sorted(expected):
        if hashlib.sha256(files[name]).hexdigest() != expected[name]:
            raise QuaestorError(
                f"{where}: {name} does not match its checksum; the bundle was changed. Export it again."
            )


def _refuse_strangers(
    head: Mapping[str, Any],
    policy: Policy,
    manifest: Mapping[str, Any],
    certificate: Mapping[str, Any],
    files: Mapping[str, bytes],
    where: str,
) -> None:
    """Parts that are whole by themselves but do not belong together."""
    if head["system"] != policy.spec.system:
        raise QuaestorError(f"{where}: the list names system {head['system']!r}, the policy {policy.spec.system!r}.")
    for name in ("iteration_id", "serial"):
        if manifest.get(name) != head[name]:
            raise QuaestorError(f"{where}: {MANIFEST} is of another iteration ({name}: {manifest.get(name)}).")
    if manifest.get("inputs") != json.loads(json.dumps(input_schema(policy.spec))):
        raise QuaestorError(f"{where}: {MANIFEST} declares other inputs than {SPEC}.")
    subject = certificate.get("subject")
    graph = hashlib.sha256(files[GRAPH]).hexdigest()
    if (
        not isinstance(subject, dict)
        or subject.get("system") != head["system"]
        or subject.get("runner_digest") != graph
    ):
        raise QuaestorError(f"{where}: {CERTIFICATE} is of another policy than {GRAPH}; certify this one.")


def _object(content: bytes, where: str) -> dict[str, Any]:
    try:
        found = strict_json(content)
    except StrictJsonError as error:
        raise QuaestorError(f"{where} is not readable: {error}. Export the bundle again.") from None
    if not isinstance(found, dict):
        raise QuaestorError(f"{where} is not readable: expected an object. Export the bundle again.")
    return found
