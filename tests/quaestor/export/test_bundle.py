"""A bundle counts only whole, unchanged, of one piece, signed by a trusted key, and repeating its golden choices."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quaestor.clock import utc_now
from quaestor.errors import GateRefusedError, QuaestorError, UsageError
from quaestor.export.bundle import CHECKSUMS, REQUIRED, SIGNATURE, Bundle, open_bundle
from quaestor.export.contents import archive_bytes, read_contents
from quaestor.export.from_iteration import export_iteration
from quaestor.export.runtime import load
from quaestor.export.signature import Keys, find_keys, key_id, read_keys, sign, signing_key
from quaestor.export.verification import verify_bundle
from quaestor.registry.judging import EVALUATION, keep
from quaestor.settings import Settings
from tests.evidence import LONG_AFTER, approved, certify, evaluation, policy, register
from tests.quaestor.export.conftest import KEY, TRUSTED, Made, private_key, private_pem, public_pem, rows


def test_the_same_iteration_gives_the_same_bytes(settings: Settings, tmp_path: Path) -> None:
    iteration = approved(settings)
    made = [
        export_iteration(settings.store, settings.data, iteration.iteration_id, tmp_path / name, "ann", key=KEY)
        for name in ("one", "two")
    ]
    assert made[0][0].files == made[1][0].files
    assert made[0][0].archive.read_bytes() == made[1][0].archive.read_bytes()
    assert [new for _, new in made] == [True, False]


def test_folder_and_archive_are_one_bundle(made: Made) -> None:
    folder, archive = (open_bundle(path, TRUSTED) for path in (made.first.path, made.first.archive))
    assert (folder.digest, folder.files) == (archive.digest, archive.files)
    assert archive.signed_by == key_id(KEY.public_key())
    assert (made.first.serial, made.second.serial) == (1, 2)


def test_it_verifies_until_it_expires(made: Made) -> None:
    verified = verify_bundle(made.first.path, utc_now(), TRUSTED)
    assert verified.golden == 8
    assert verified.certificate.bounds == tuple(sorted(verified.certificate.bounds, reverse=True))
    with pytest.raises(QuaestorError, match="expired"):
        verify_bundle(made.first.path, LONG_AFTER)


@pytest.mark.parametrize("name", [*REQUIRED, CHECKSUMS, SIGNATURE])
def test_one_flipped_byte_anywhere_is_refused(bundle: Path, name: str) -> None:
    path = bundle / name
    content = path.read_bytes()
    for position in (0, len(content) // 3, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        with pytest.raises(QuaestorError):
            open_bundle(bundle, TRUSTED)
    path.write_bytes(content)
    open_bundle(bundle, TRUSTED)


@pytest.mark.parametrize("name", [*REQUIRED, CHECKSUMS])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(QuaestorError, match=re.escape(name)):
        open_bundle(bundle)


def test_a_file_too_many_is_named(bundle: Path) -> None:
    (bundle / "extra.py").write_text("print('hello')")
    with pytest.raises(QuaestorError, match=r"extra\.py is not listed"):
        open_bundle(bundle)


def _resealed(bundle: Path, name: str, content: bytes, head: dict[str, Any] | None = None) -> None:
    """Changes a file, its checksum with it and signs again, as whoever holds the key could."""
    (bundle / name).write_bytes(content)
    sums = json.loads((bundle / CHECKSUMS).read_text())
    if name != CHECKSUMS:
        sums["files"][name] = hashlib.sha256(content).hexdigest()
    checksums = json.dumps(sums | (head or {})).encode()
    (bundle / CHECKSUMS).write_bytes(checksums)
    (bundle / SIGNATURE).write_bytes(sign(checksums, sums["system"], KEY))


def _changed(bundle: Path, name: str, change: Callable[[dict[str, Any]], Any]) -> bytes:
    content = json.loads((bundle / name).read_bytes())
    change(content)
    return json.dumps(content).encode()


STRANGERS: dict[str, tuple[Callable[[Path, Made], None], str]] = {
    "another graph": (
        lambda b, made: _resealed(b, "policy.onnx", made.second.files["policy.onnx"]),
        "certificate.json is of another policy",
    ),
    "the certificate of the next iteration": (
        lambda b, made: _resealed(b, "certificate.json", made.second.files["certificate.json"]),
        "certificate.json is of another policy",
    ),
    "the manifest of the next iteration": (
        lambda b, made: _resealed(b, "manifest.json", made.second.files["manifest.json"]),
        "manifest.json is of another iteration",
    ),
    "a manifest that declares other inputs": (
        lambda b, _: _resealed(
            b, "manifest.json", _changed(b, "manifest.json", lambda m: m["inputs"]["numeric"].clear())
        ),
        "declares other inputs",
    ),
    "golden choices of the next iteration": (
        lambda b, made: _resealed(b, "golden.json", made.second.files["golden.json"]),
        "golden choice 0 differs",
    ),
    "golden choices that are none": (lambda b, _: _resealed(b, "golden.json", b"[]"), "cannot be read"),
    "another salt": (
        lambda b, _: _resealed(b, "spec.json", _changed(b, "spec.json", lambda s: s.update(salt="mine"))),
        "golden choice",
    ),
    "duplicate keys": (
        lambda b, _: _resealed(b, "manifest.json", b'{"a":1,"a":2}'),
        "'a' is there twice",
    ),
    "an older format": (
        lambda b, _: _resealed(b, CHECKSUMS, (b / CHECKSUMS).read_bytes(), {"format": 1}),
        "expected bundle format 2 to 2, found 1. Export the iteration again",
    ),
    "a newer format": (
        lambda b, _: _resealed(b, CHECKSUMS, (b / CHECKSUMS).read_bytes(), {"format": 3}),
        "found 3. Update quaestor",
    ),
    "a format that is no number": (
        lambda b, _: _resealed(b, CHECKSUMS, (b / CHECKSUMS).read_bytes(), {"format": "2"}),
        "expected bundle format",
    ),
    "another system's list": (
        lambda b, _: _resealed(b, CHECKSUMS, (b / CHECKSUMS).read_bytes(), {"system": "shop"}),
        "names system 'shop'",
    ),
    "a name outside the bundle": (
        lambda b, _: _resealed(
            b, CHECKSUMS, (b / CHECKSUMS).read_bytes(),
            {"files": json.loads((b / CHECKSUMS).read_text())["files"] | {"../secret": "0" * 64}},
        ),
        r"\.\./secret is missing but listed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGERS)
def test_parts_that_do_not_belong_together_are_refused_however_well_signed(bundle: Path, made: Made, name: str) -> None:
    change, said = STRANGERS[name]
    change(bundle, made)
    with pytest.raises(QuaestorError, match=said):
        open_bundle(bundle, TRUSTED)


def _signature(bundle: Path, **changes: str) -> None:
    parts = json.loads((bundle / SIGNATURE).read_bytes())
    (bundle / SIGNATURE).write_text(json.dumps(parts | changes))


OTHER = private_key(2)
BOTH = Keys(TRUSTED.trusted | {key_id(OTHER.public_key()): OTHER.public_key()})
UNTRUSTED: dict[str, tuple[Callable[[Path, Made], object], Keys, str]] = {
    "no signature": (lambda b, _: (b / SIGNATURE).unlink(), TRUSTED, "is not signed"),
    "a key that is not trusted": (lambda b, _: None, read_keys([public_pem(OTHER)]), "which is not trusted here"),
    "a revoked key": (
        lambda b, _: None, Keys(TRUSTED.trusted, frozenset(TRUSTED.trusted)), "which is revoked",
    ),
    "another algorithm": (lambda b, _: _signature(b, algorithm="none"), TRUSTED, "signed with 'none'"),
    "another trusted key's name": (
        lambda b, _: _signature(b, key=key_id(OTHER.public_key())), BOTH, "not that of key",
    ),
    "no base64": (lambda b, _: _signature(b, signature="§"), TRUSTED, "not that of key"),
    "other bytes": (
        lambda b, _: _signature(b, signature=base64.b64encode(bytes(64)).decode()), TRUSTED, "not that of key",
    ),
    "of the next bundle": (
        lambda b, made: (b / SIGNATURE).write_bytes(made.second.files[SIGNATURE]), TRUSTED, "is of another bundle",
    ),
    "duplicate keys": (
        lambda b, _: (b / SIGNATURE).write_text('{"algorithm":"Ed25519","algorithm":""}'), TRUSTED, "is there twice",
    ),
    "a field too many": (lambda b, _: _signature(b, note="hello"), TRUSTED, "must have exactly"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNTRUSTED)
def test_each_bad_signature_is_refused_with_its_own_reason(bundle: Path, made: Made, name: str) -> None:
    change, keys, said = UNTRUSTED[name]
    change(bundle, made)
    with pytest.raises(QuaestorError, match=said):
        open_bundle(bundle, keys)


def test_the_reasons_differ() -> None:
    assert len({said for *_, said in UNTRUSTED.values()}) >= 8


def test_without_keys_a_bundle_says_loudly_that_its_origin_is_unknown(
    bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load(bundle)
    assert "SIGNATURE NOT CHECKED" in caplog.text
    (bundle / SIGNATURE).unlink()
    load(bundle)
    assert "UNSIGNED" in caplog.text


def test_keys_come_from_files_and_the_environment(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    (tmp_path / "both.pem").write_bytes(b"two keys\n" + public_pem(OTHER) + b"\n" + public_pem(KEY))
    assert load(bundle, keys=tmp_path / "both.pem").bundle.signed_by
    monkeypatch.setenv("QUAESTOR_KEYS", public_pem(OTHER).decode())
    with pytest.raises(QuaestorError, match="not trusted"):
        load(bundle)
    monkeypatch.setenv("QUAESTOR_KEYS", str(tmp_path / "both.pem"))
    monkeypatch.setenv("QUAESTOR_REVOKED_KEYS", public_pem(KEY).decode())
    with pytest.raises(QuaestorError, match="revoked"):
        load(bundle)
    monkeypatch.setenv("QUAESTOR_SIGNING_KEY", private_pem(OTHER).decode())
    found = signing_key()
    assert found is not None
    assert key_id(found.public_key()) == key_id(OTHER.public_key())
    for bad in (b"-----BEGIN NOTHING-----\n-----END NOTHING-----\n", str(tmp_path / "none.pem"), public_pem(KEY)):
        with pytest.raises(UsageError):
            signing_key(bad)
        if bad != public_pem(KEY):
            with pytest.raises(UsageError):
                read_keys([bad])


def test_revoking_without_trusting_is_a_mistake_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUAESTOR_KEYS", raising=False)
    with pytest.raises(UsageError, match="none is trusted"):
        find_keys(revoked=[public_pem(KEY)])
    assert find_keys() is None


def test_an_older_bundle_is_refused_however_well_signed(made: Made) -> None:
    assert load(made.second.path, TRUSTED, after=2)
    with pytest.raises(QuaestorError, match="authorised rollback"):
        load(made.first.path, TRUSTED, after=2)


def test_a_better_looking_bound_does_not_follow_from_the_episodes(bundle: Path) -> None:
    changed = _changed(bundle, "certificate.json", lambda c: c["bounds"].__setitem__(0, c["bounds"][0] + 1e-6))
    _resealed(bundle, "certificate.json", changed)
    with pytest.raises(QuaestorError, match=r"bound at budget 0\.05"):
        verify_bundle(bundle, utc_now())


def test_changed_episodes_are_noticed(bundle: Path) -> None:
    values = np.frombuffer((bundle / "episodes.f64").read_bytes(), dtype="<f8").copy()
    values[3] += 0.1
    _resealed(bundle, "episodes.f64", values.tobytes())
    with pytest.raises(QuaestorError, match="not those the certificate was computed from"):
        verify_bundle(bundle, utc_now())


def test_only_certified_approved_policies_are_exported(settings: Settings) -> None:
    iteration = register(settings, policy())
    out = settings.bundles

    def export(override: str | None = None) -> Bundle:
        return export_iteration(settings.store, settings.data, iteration.iteration_id, out, "ann", override)[0]

    with pytest.raises(GateRefusedError, match="no evaluation or no certificate"):
        export(override="whatever")
    certify(settings, iteration.iteration_id)
    keep(settings.store, iteration.iteration_id, EVALUATION, evaluation().as_json(), "incumbent")
    with pytest.raises(GateRefusedError, match="the gate says"):
        export()
    assert not out.exists()
    made = export(override="a drill")
    assert made.manifest["override"] == "a drill"
    assert not made.signed
    signed, new = export_iteration(
        settings.store, settings.data, iteration.iteration_id, out, "ann", "a drill", key=KEY
    )
    assert (signed.digest, new) == (made.digest, False)
    for path in (signed.path, signed.archive):
        assert open_bundle(path, TRUSTED).signed_by


def test_a_crash_before_the_end_leaves_no_bundle(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    iteration = approved(settings)
    monkeypatch.setattr("quaestor.export.bundle.replay", lambda *_: (_ for _ in ()).throw(QuaestorError("differs")))
    with pytest.raises(QuaestorError, match="differs"):
        export_iteration(settings.store, settings.data, iteration.iteration_id, settings.bundles, "ann")
    assert list(settings.bundles.rglob("policy.onnx")) == []


def test_the_example_on_the_card_runs_in_plain_onnxruntime(bundle: Path) -> None:
    card = (bundle / "card.md").read_text()
    example = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[-1]
    done = subprocess.run([sys.executable, "-c", example], cwd=bundle, capture_output=True, text=True, check=True)
    assert len(example.strip().splitlines()) <= 10
    assert done.stdout.startswith("{'a0': 0.")
    assert sum(eval(done.stdout).values()) == pytest.approx(1.0, abs=1e-12)


def test_the_bill_of_materials_names_what_runs_it(made: Made) -> None:
    bill = json.loads(made.first.files["materials.json"])
    scope = {part["name"]: part.get("scope") for part in bill["components"]}
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert {scope[name] for name in ("numpy", "onnxruntime", "cryptography")} == {"required"}
    assert {scope[name] for name in ("torch", "scikit-learn", "duckdb")} == {"excluded"}
    assert made.first.manifest["lock"]["packages"] > 20


def test_a_copied_bundle_decides_the_same(bundle: Path, made: Made, tmp_path: Path) -> None:
    (tmp_path / "copy.zip").write_bytes(archive_bytes(read_contents(bundle)))
    shutil.move(bundle, tmp_path / "elsewhere")
    expected = load(made.first.path).decide(rows(20))
    assert load(tmp_path / "elsewhere").decide(rows(20)).equals(expected)
    assert load(tmp_path / "copy.zip").decide(rows(20)).equals(expected)
