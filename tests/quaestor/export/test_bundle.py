"""A bundle counts only whole, unchanged and repeating its golden choices."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quaestor.clock import utc_now
from quaestor.errors import GateRefusedError, QuaestorError, UsageError
from quaestor.export.bundle import CHECKSUMS, REQUIRED, Bundle
from quaestor.export.from_iteration import export_iteration
from quaestor.export.runtime import load
from quaestor.export.verification import verify_bundle
from quaestor.log.ingest import ingest_file
from quaestor.registry.judging import EVALUATION, keep
from quaestor.settings import Settings
from tests.evidence import LONG_AFTER, approved, certify, evaluation, policy, register


@pytest.fixture
def bundle(settings: Settings) -> Bundle:
    iteration = approved(settings)
    made, new = export_iteration(settings.store, settings.data, iteration.iteration_id, settings.bundles, "ann")
    assert new
    return made


def _rows(count: int) -> pl.DataFrame:
    draw = np.random.default_rng(5)
    return pl.DataFrame(
        {
            "event_id": [f"row-{n}" for n in range(count)],
            "decided_at": ["2026-02-01T00:00:00Z"] * count,
            "eligible": [[f"a{k}" for k in range(4) if k == n % 4 or draw.random() < 0.6] for n in range(count)],
            "numeric_x": [None if n % 50 == 0 else float(draw.normal()) for n in range(count)],
            "category_level": [f"L{n % 5}" for n in range(count)],
        }
    )


def test_exporting_again_finds_the_same_bundle(settings: Settings, bundle: Bundle) -> None:
    again, new = export_iteration(settings.store, settings.data, bundle.iteration_id, settings.bundles, "ann")
    assert (again.digest, new) == (bundle.digest, False)


def test_it_verifies_until_it_expires(bundle: Bundle) -> None:
    verified = verify_bundle(bundle.path, utc_now())
    assert verified.golden == 8
    assert verified.certificate.bounds == tuple(sorted(verified.certificate.bounds, reverse=True))
    with pytest.raises(QuaestorError, match="expired"):
        verify_bundle(bundle.path, LONG_AFTER)


@pytest.mark.parametrize("name", [*REQUIRED, CHECKSUMS])
def test_one_flipped_byte_anywhere_is_refused(bundle: Bundle, name: str) -> None:
    path = bundle.path / name
    content = path.read_bytes()
    for position in (0, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        with pytest.raises(QuaestorError):
            verify_bundle(bundle.path, utc_now())
    path.write_bytes(content)
    verify_bundle(bundle.path, utc_now())


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_file_is_named(bundle: Bundle, name: str) -> None:
    (bundle.path / name).unlink()
    with pytest.raises(QuaestorError, match=name):
        load(bundle.path)


def test_a_file_too_many_is_named(bundle: Bundle) -> None:
    (bundle.path / "extra.py").write_text("print('hello')")
    with pytest.raises(QuaestorError, match=r"extra\.py is not listed"):
        load(bundle.path)


def _reseal(folder: Path, name: str, content: bytes) -> None:
    """Changes a file and its checksum with it, as a careful forger would."""
    import hashlib

    (folder / name).write_bytes(content)
    sums = json.loads((folder / CHECKSUMS).read_text())
    sums["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / CHECKSUMS).write_text(json.dumps(sums))


def test_another_policys_graph_does_not_repeat_the_choices(settings: Settings, bundle: Bundle) -> None:
    _reseal(bundle.path, "policy.onnx", policy(7).graph)
    with pytest.raises(QuaestorError, match="golden choice"):
        load(bundle.path)


def test_a_better_looking_bound_does_not_follow_from_the_episodes(bundle: Bundle) -> None:
    certificate = json.loads((bundle.path / "certificate.json").read_text())
    certificate["bounds"][0] += 1e-6
    _reseal(bundle.path, "certificate.json", json.dumps(certificate).encode())
    with pytest.raises(QuaestorError, match=r"bound at budget 0\.05"):
        verify_bundle(bundle.path, utc_now())


def test_changed_episodes_are_noticed(bundle: Bundle) -> None:
    values = np.frombuffer((bundle.path / "episodes.f64").read_bytes(), dtype="<f8").copy()
    values[3] += 0.1
    _reseal(bundle.path, "episodes.f64", values.tobytes())
    with pytest.raises(QuaestorError, match="not those the certificate was computed from"):
        verify_bundle(bundle.path, utc_now())


@pytest.mark.parametrize("content", [b"not a graph", b""])
def test_a_graph_that_is_none_is_a_sentence(bundle: Bundle, content: bytes) -> None:
    _reseal(bundle.path, "policy.onnx", content)
    with pytest.raises(QuaestorError, match="not a graph that can be run"):
        load(bundle.path)


def test_names_outside_the_bundle_are_refused(bundle: Bundle) -> None:
    sums = json.loads((bundle.path / CHECKSUMS).read_text())
    sums["files"]["../secret"] = "0" * 64
    (bundle.path / CHECKSUMS).write_text(json.dumps(sums))
    with pytest.raises(QuaestorError, match="outside the bundle"):
        load(bundle.path)


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


def test_a_crash_before_the_end_leaves_no_bundle(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    iteration = approved(settings)
    monkeypatch.setattr("quaestor.export.bundle.replay", lambda *_: (_ for _ in ()).throw(QuaestorError("differs")))
    with pytest.raises(QuaestorError, match="differs"):
        export_iteration(settings.store, settings.data, iteration.iteration_id, settings.bundles, "ann")
    assert list(settings.bundles.rglob("policy.onnx")) == []


def test_decisions_are_a_pure_function_of_the_event(bundle: Bundle) -> None:
    rows = _rows(200)
    runtime = load(bundle.path)
    all_at_once = runtime.decide(rows)
    one_by_one = pl.concat([runtime.decide(rows[n : n + 1]) for n in range(len(rows))])
    shuffled = runtime.decide(rows.sample(fraction=1, shuffle=True, seed=1)).sort("event_id")
    assert all_at_once.equals(one_by_one)
    assert shuffled.equals(all_at_once.sort("event_id"))


def test_every_choice_is_a_distribution_over_the_eligible(bundle: Bundle) -> None:
    decided = load(bundle.path).decide(_rows(500))
    sums = decided["propensities"].list.sum()
    assert (sums - 1).abs().max() < 1e-9
    assert decided["propensities"].list.min().min() > 0
    assert decided.select(pl.col("eligible").list.contains(pl.col("action")).all()).item()
    assert not decided["fallback"].any()


def test_actions_are_drawn_as_often_as_their_propensities_say(bundle: Bundle) -> None:
    """Σ 1[a]/p over the rounds where a was taken is the number of rounds where it was eligible, within 4 standard
    errors."""
    decided = load(bundle.path).decide(_rows(20_000))
    for action in ("a0", "a1", "a2", "a3"):
        rounds = decided.filter(pl.col("eligible").list.contains(action))
        weight = rounds.select(
            pl.when(pl.col("action") == action).then(1 / pl.col("propensity")).otherwise(0.0)
        ).to_series()
        error = weight.std() / len(weight) ** 0.5  # type: ignore[operator]
        assert abs(weight.mean() - 1) < 4 * error  # type: ignore[operator]


def test_what_the_bundle_decides_is_what_ingest_takes(settings: Settings, bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "decisions.parquet"
    load(bundle.path).decide(_rows(300)).write_parquet(path)
    summary = ingest_file(settings.store, "decisions", path)
    assert (summary.added, summary.refused) == (300, {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.drop("event_id"), "event_id"),
        (lambda rows: rows.drop("numeric_x"), "lacks numeric_x"),
        (lambda rows: rows.with_columns(event_id=pl.lit("same")), "of its own"),
        (lambda rows: rows.with_columns(eligible=pl.lit(["a0", "zz"])), "'zz' is not among"),
        (lambda rows: rows.with_columns(eligible=pl.lit([], dtype=pl.List(pl.String))), "empty eligible set"),
        (lambda rows: rows.with_columns(decided_at=pl.lit("2026-01-01T00:00:00")), "zone"),
    ],
)
def test_bad_rows_get_a_sentence(bundle: Bundle, change: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load(bundle.path).decide(change(_rows(3)))  # type: ignore[operator]


def test_a_copied_bundle_decides_the_same(bundle: Bundle, tmp_path: Path) -> None:
    shutil.copytree(bundle.path, tmp_path / "elsewhere")
    rows = _rows(20)
    assert load(tmp_path / "elsewhere").decide(rows).equals(load(bundle.path).decide(rows))
