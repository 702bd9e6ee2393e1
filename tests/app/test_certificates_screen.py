"""Certificates: a correction of the data makes one visibly stale, on the screen and on the printed page."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from app import certified
from app.queries.certificates import Stale, stale_by
from quaestor.certification.certificate import AttackTried
from quaestor.certification.report import certificate_digest, page
from quaestor.log.ingest import ingest_file
from quaestor.registry.judging import keep
from quaestor.retention.enforcing import DATA_DELETED
from quaestor.settings import Settings
from quaestor.store import rounds
from tests.app.filled import Filled, certify, payments_subject, register
from tests.app.filled import rounds as learnt
from tests.app.test_screens import opened, report_of
from tests.app.test_screens import said as said_on
from tests.quaestor.events import outcome, write


@pytest.fixture
def certified_now(settings: Settings, filled: Filled) -> str:
    """An iteration that learnt from rounds that are in the store."""
    data = learnt() | {"as_of": (datetime.now() + timedelta(days=9)).isoformat(), "digest": "all of them"}
    name = register(settings, "cards", "learnt today", data, filled.first)
    certify(settings, name, payments_subject())
    return name


def correct(settings: Settings, folder: Path) -> None:
    with settings.store.read() as connection:
        first = rounds.outcomes(connection, "cards").row(0, named=True)
    at = first["observed_at"] + timedelta(minutes=1)
    row = outcome(0, system="cards", event_id=first["event_id"], revision=1, observed_at=at)
    row["observed_at"] = f"{at.isoformat()}Z"
    ingest_file(settings.store, "outcomes", write(folder, "corrected.parquet", [row]))


def test_a_later_correction_makes_a_certificate_stale(settings: Settings, certified_now: str, tmp_path: Path) -> None:
    assert stale_by("cards", certified_now) is None
    correct(settings, tmp_path)
    said = stale_by("cards", certified_now)
    assert said is not None
    assert "1 corrections" in said.sentence
    assert said.share == 1 / 80_000


def test_data_that_was_deleted_is_said(settings: Settings, filled: Filled) -> None:
    content = {"kind": "decisions", "system": "cards", "up_to": "2026-02-01T00:00:00", "by": "ann"}
    keep(settings.store, filled.first, DATA_DELETED, content)
    assert stale_by("cards", filled.first) == Stale(
        "Records it rests on were deleted by ann (decisions older than 2026-02-01): it can be verified from its files, "
        "not retrained.",
        0.0,
    )


def test_the_printed_page_names_itself_and_what_changed(settings: Settings, filled: Filled) -> None:
    certificate = report_of(settings, filled.graph).certificate
    assert certificate is not None
    digest = certificate_digest(certificate)
    printed = page(certificate, filled.graph, "Stale: <b>so</b>")
    assert digest in printed
    assert "Stale: &lt;b&gt;so&lt;/b&gt;" in printed
    assert "Stale" not in page(certificate, filled.graph)
    facts = dict(certified.facts(certificate).iter_rows())
    assert facts["digest of this certificate"] == digest
    curves = certified.curves(certificate)
    assert set(curves["line"]) >= {certified.BOUND, certified.ATTACK, certified.NOMINAL, certified.BARE}


def test_every_attack_is_drawn_with_its_interval(settings: Settings, filled: Filled) -> None:
    certificate = report_of(settings, filled.graph).certificate
    assert certificate is not None
    tried = (AttackTried("bias", 0.05, 160.0, 2.0, 40), AttackTried("gradient", 0.1, 170.0, 0.5, 40))
    drawn = certified.attacks(replace(certificate, attacks_tried=tried))
    assert drawn.row(0) == (0.05, "bias", 160.0, pytest.approx(156.08), pytest.approx(163.92))
    assert (drawn["upper"] - drawn["lower"]).to_list() == pytest.approx([7.84, 1.96])
    assert certified.attacks(certificate).is_empty()


@pytest.mark.slow
def test_the_screen_warns_of_a_stale_certificate(settings: Settings, certified_now: str, tmp_path: Path) -> None:
    assert not opened("certificates", iteration=certified_now).warning
    correct(settings, tmp_path)
    test = opened("certificates", iteration=certified_now)
    assert not test.exception
    assert "Stale" in test.warning[0].value
    assert "Staleness: watch" in said_on(test)
