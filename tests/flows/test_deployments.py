"""prefect.yaml is the only source of what runs when, and what cannot be right in it is said before anything starts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flows import deployments
from quaestor.errors import UsageError
from tests.conftest import ROOT

FILE = ROOT / "prefect.yaml"


def test_every_deployment_that_operations_need_is_there_with_a_schedule() -> None:
    cron = dict(deployments.schedules(FILE))
    assert cron.keys() == {
        "run_ingest_inbox/inbox",
        "run_retrain_payments/payments-world",
        "run_retrain_inventory/favorita-demo",
        "run_renew_certificate/payments-world",
        "run_watch_canary/payments-world",
        "run_retention/all",
        "run_watch_alarms/all",
    }


def test_no_deployment_may_run_twice_at_once() -> None:
    assert all(each["concurrency_limit"]["limit"] == 1 for each in deployments.read(FILE))


@pytest.mark.slow
def test_the_deployments_of_the_house_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    deployments.check(FILE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sound", "slip", "said"),
    [
        ("{ study: data/studies/payments/world.toml }", "{ studdy: x.toml }", "Did you mean 'study'"),
        ("{ study: data/studies/payments/world.toml }", "{ study: 7 }", "study"),
        ("{ study: data/studies/payments/world.toml }", "{}", "study"),
        ("data/studies/payments/world.toml", "data/studies/payments/word.toml", "No study at"),
        ("flows.ingest.run_ingest_inbox", "flows.ingest.run_ingest_outbox", "is no flow"),
        ('cron: "0 3 * * *"', 'cron: "every day"', "not a cron expression"),
    ],
)
def test_a_slip_is_said_before_anything_starts(
    sound: str, slip: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    text = FILE.read_text()
    assert sound in text
    (tmp_path / "prefect.yaml").write_text(text.replace(sound, slip, 1))
    with pytest.raises(UsageError, match=re.escape(said)):
        deployments.check(tmp_path / "prefect.yaml")


def test_a_missing_or_torn_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No deployments at"):
        deployments.read(tmp_path / "none.yaml")
    (tmp_path / "torn.yaml").write_text("deployments: [")
    with pytest.raises(UsageError, match="not valid YAML"):
        deployments.read(tmp_path / "torn.yaml")
